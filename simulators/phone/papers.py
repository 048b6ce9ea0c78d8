"""Lists on the phone: balances, the bank's statement, its own purchases. Drawn for `cli`."""

from __future__ import annotations

from datetime import UTC, datetime

from rich.text import Text

from kessai.account_number import parse_account, pretty_account
from kessai.console import Table
from kessai.decline import meaning_of
from kessai.json_lines import as_json
from kessai.money import Money
from kessai.request_id import format_request_id
from kessai.v1 import account_pb2, money_pb2, payment_pb2, tap_pb2
from kessai.v1.account_pb2 import Account, ListEntriesResponse
from simulators.phone.store import Decision

_KINDS = {
    account_pb2.ENTRY_KIND_PAYMENT: "Payment",
    account_pb2.ENTRY_KIND_CASH_DEPOSIT: "Cash paid in",
    account_pb2.ENTRY_KIND_CASH_WITHDRAWAL: "Cash paid out",
    account_pb2.ENTRY_KIND_CAPTURE: "Hold captured",
    account_pb2.ENTRY_KIND_RELEASE: "Released by the bank",
    account_pb2.ENTRY_KIND_BILL: "Bill",
    account_pb2.ENTRY_KIND_FARE: "Fare",
}


def draw_balances(accounts: list[Account]) -> Table:
    """Draw what each account holds, and what of it can be spent."""
    table = _table("Account", "Balance", "Available")
    for account in accounts:
        table.add_row(
            _pretty(account.account_number), *map(_money, (account.balance, account.available))
        )
    return table


def draw_statement(statement: ListEntriesResponse) -> Table:
    """Draw an account's entries, newest first."""
    table = _table("Booked", "Amount", "Balance", "What", "With")
    table.empty = "nothing was booked yet"
    table.title = Text(f"Account {_pretty(statement.account.account_number)}", style="bold")
    for entry in statement.entries:
        table.add_row(
            _clock(entry.book_time.ToMicroseconds()),
            _money(entry.amount),
            _money(entry.balance),
            _KINDS.get(entry.kind, "Other"),
            _pretty(entry.counterparty),
        )
    return table


def draw_purchases(decisions: list[Decision]) -> Table:
    """Draw what the customer decided and what became of it, newest first."""
    table = _table("Decided", "Amount", "Outcome", "Shop", "Order")
    table.empty = "this phone has not been asked to pay yet"
    for decision in decisions:
        request = decision.read_request()
        table.add_row(
            _clock(decision.decide_time_us),
            _money(request.total),
            _outcome(decision),
            Text(decision.shop),
            Text(request.order_id),
        )
    return table


def plain_purchase(decision: Decision) -> dict[str, object]:
    """A purchase for programs: what was decided, and the receipt if there is one."""
    request, receipt = decision.read_request(), decision.read_receipt()
    return {
        "decide_time_us": decision.decide_time_us,
        "shop": decision.shop,
        "order_id": request.order_id,
        "payment_id": format_request_id(request.request_id),
        "amount": as_json(request.total),
        "outcome": _outcome(decision).plain,
        "receipt": as_json(receipt) if receipt is not None else None,
    }


def _table(*columns: str) -> Table:
    table = Table(*columns, box=None, header_style="bold", title_justify="left")
    for column in table.columns:
        if column.header in ("Amount", "Balance", "Available"):
            column.justify = "right"
    return table


def _outcome(decision: Decision) -> Text:
    receipt = decision.read_receipt()
    if decision.status != tap_pb2.TAP_STATUS_AUTHORIZED:
        return Text("You said no", style="bright_black")
    if receipt is None:
        return Text("Agreed; no receipt yet", style="yellow")
    if receipt.outcome == payment_pb2.PAYMENT_OUTCOME_SETTLED:
        return Text("Paid", style="green")
    if receipt.outcome == payment_pb2.PAYMENT_OUTCOME_HELD:
        return Text("Reserved", style="yellow")
    if receipt.outcome != payment_pb2.PAYMENT_OUTCOME_DECLINED:
        return Text("Given back", style="bright_black")
    return Text(meaning_of(receipt.decline_reason).customer, style="red")


def _money(amount: money_pb2.Money) -> Text:
    return Text(str(Money.from_proto(amount)), style="red" if amount.amount_minor < 0 else "")


def _pretty(account_number: str) -> str:
    return pretty_account(parse_account(account_number)) if account_number else ""


def _clock(time_us: int) -> str:
    moment = datetime.fromtimestamp(time_us // 1_000_000, tz=UTC).astimezone()
    return moment.strftime("%Y-%m-%d %H:%M:%S %Z")
