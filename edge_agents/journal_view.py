"""What people see of a terminal's journal: the list of its payments, and what a receipt proves.

Used by `cli`, by `kessai agent payments` and `check-receipt`.
"""

from __future__ import annotations

from collections.abc import Iterable

from rich.text import Text

from edge_agents.journal import Entry, PaymentState
from edge_agents.receipts import is_held, is_settled
from kessai.console import Console, Table, styled
from kessai.decline import meaning_of, name_of
from kessai.json_lines import as_json, print_json
from kessai.money import Money
from kessai.request_id import format_request_id
from kessai.v1.payment_pb2 import Receipt

_STYLES = {
    PaymentState.REQUESTED: "yellow",
    PaymentState.PRESENTED: "yellow",
    PaymentState.AUTHORIZED: "bold yellow",
    PaymentState.SETTLED: "green",
    PaymentState.DECLINED: "red",
    PaymentState.ABANDONED: "dim",
    PaymentState.HELD: "yellow",
    PaymentState.APPROVED: "bold yellow",
    PaymentState.DELIVERED: "bold yellow",
    PaymentState.FAILED: "yellow",
    PaymentState.VOIDED: "dim",
}


def show_payments(entries: Iterable[Entry]) -> None:
    """Print a table of payments, in the order given."""
    table = Table("Order", "Payment", "State", "Amount", "Receipt", box=None, header_style="bold")
    table.columns[3].justify = "right"
    table.empty = "this terminal has no payment yet"
    for entry in entries:
        table.add_row(
            entry.pending.request.order_id,
            entry.pending.payment_id,
            Text(entry.state.value, style=_STYLES[entry.state]),
            str(entry.pending.total),
            _receipt_note(entry),
        )
    Console().print(table)


def print_payments(entries: Iterable[Entry]) -> None:
    """Print payments for programs, a JSON object a line, in the order given."""
    print_json(
        {
            "order_id": entry.pending.request.order_id,
            "payment_id": entry.pending.payment_id,
            "state": entry.state.value,
            "amount": as_json(entry.pending.total.to_proto()),
            "note": _receipt_note(entry),
        }
        for entry in entries
    )


def show_receipt(receipt: Receipt, own: Entry | None) -> None:
    """Say what a verified receipt proves; `own` is its payment in this terminal's journal."""
    console = Console()
    outcome = "[bold green]PAID[/]" if is_settled(receipt) else "[bold red]NOT PAID[/]"
    if is_held(receipt):
        outcome = "[bold yellow]HELD, NOT PAID YET[/]"
    amount = Money.from_proto(receipt.amount) if receipt.HasField("amount") else "no amount"
    console.print(styled(f"{outcome}  {{}}  signed by the switch", amount))
    reason = receipt.decline_reason
    if reason:
        console.print(f"{name_of(reason)}: {meaning_of(reason).cashier}")
    console.print(f"Payment {format_request_id(receipt.request_id)}")
    order = own.pending.request.order_id if own is not None else None
    console.print(f"Order {order} of this terminal" if order else "Not a payment of this terminal")


def _receipt_note(entry: Entry) -> str:
    if entry.accept_us is not None and entry.state is PaymentState.AUTHORIZED:
        return "waiting"
    if entry.accept_us is not None and entry.state is not PaymentState.SETTLED:
        return "LOST"
    if entry.receipt is None:
        return entry.note
    paper = "printed" if entry.printed else "not printed"
    phone = "on the phone" if entry.delivered else "not on the phone"
    settled = entry.state is PaymentState.SETTLED
    return f"{paper}, {phone}" if settled else phone
