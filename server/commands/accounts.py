"""`kessai account`: what an operator does with accounts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.text import Text

from kessai.account_number import AccountNumberError, format_account, pretty_account
from kessai.account_number import parse_account as parse
from kessai.complaint import Complaint
from kessai.console import Console, Table, styled
from kessai.decline import meaning_of, name_of
from kessai.money import Money
from kessai.v1 import account_pb2 as pb
from kessai.v1.account_pb2_grpc import AccountServiceStub
from kessai.v1.decline_pb2 import DeclineReason
from server.commands.operator_line import DEADLINE_S, call, fresh_request_id
from server.commands.options import Data, Identity, ProposalId, money

account = typer.Typer(
    pretty_exceptions_enable=False,
    add_completion=False,
    no_args_is_help=True,
    help="Open accounts, take cash in and out, read statements.",
)

_out = Console()

AccountNumber = Annotated[str, typer.Argument(help="14 digits, with or without hyphens.")]
Currency = Annotated[str, typer.Option(help="ISO 4217 code.")]


@account.command("open")
def open_account(
    owner: Annotated[str, typer.Argument(help='"wallet/<id>" or "merchant/<id>".')],
    currency: Currency = "EUR",
    branch: Annotated[int, typer.Option(help="The branch.", min=1, max=9999)] = 1,
    number: Annotated[
        int, typer.Option(help="A number of your choice; 0: any.", min=0, max=99_999_999)
    ] = 0,
    data: Data = None,
    identity: Identity = None,
) -> None:
    """Open an account for a wallet or a merchant."""
    request = pb.OpenAccountRequest(
        request_id=fresh_request_id(),
        owner=owner,
        currency_code=currency,
        branch=branch,
        number=number,
    )
    response = call(
        data, identity, lambda ch: AccountServiceStub(ch).OpenAccount(request, timeout=DEADLINE_S)
    )
    _out.print(f"{pretty_account(parse(response.account.account_number))} is open for {owner}")


@account.command("show")
def show_account(number: AccountNumber, data: Data = None, identity: Identity = None) -> None:
    """Show an account's balance, what its auxiliaries hold, and the total."""
    request = pb.GetAccountRequest(account_number=_number(number))
    response = call(
        data, identity, lambda ch: AccountServiceStub(ch).GetAccount(request, timeout=DEADLINE_S)
    )
    _show(response.account)


@account.command("distribute")
def distribute_account(number: AccountNumber, data: Data = None, identity: Identity = None) -> None:
    """Give a busy payee's account an auxiliary on every shard: many may pay it at once."""
    request = pb.DistributeAccountRequest(
        request_id=fresh_request_id(), account_number=_number(number)
    )
    response = call(
        data,
        identity,
        lambda ch: AccountServiceStub(ch).DistributeAccount(request, timeout=DEADLINE_S),
    )
    _out.print(styled("[green]distributed over {} shards[/]", response.auxiliary_count))
    _show(response.account)


@account.command("merge")
def merge_account(number: AccountNumber, data: Data = None, identity: Identity = None) -> None:
    """Merge at once what the auxiliaries of a distributed account hold."""
    request = pb.MergeAccountRequest(account_number=_number(number))
    response = call(
        data, identity, lambda ch: AccountServiceStub(ch).MergeAccount(request, timeout=DEADLINE_S)
    )
    _out.print(styled("[green]{} merged[/]", Money.from_proto(response.merged)))
    _show(response.account)


@account.command("statement")
def show_statement(
    number: AccountNumber,
    size: Annotated[
        int, typer.Option("--size", help="Entries, newest first.", min=1, max=500)
    ] = 20,
    page_token: Annotated[str, typer.Option(help="Where to go on.")] = "",
    auxiliary: Annotated[
        int, typer.Option(min=0, help="Of a distributed account: an auxiliary, from 1 on.")
    ] = 0,
    data: Data = None,
    identity: Identity = None,
) -> None:
    """List an account's entries, newest first."""
    request = pb.ListEntriesRequest(
        account_number=_number(number),
        page_size=size,
        page_token=page_token,
        auxiliary=auxiliary,
    )
    response = call(
        data, identity, lambda ch: AccountServiceStub(ch).ListEntries(request, timeout=DEADLINE_S)
    )
    _out.print(_statement(response, auxiliary))
    if response.next_page_token:
        _out.print(styled("[dim]older entries: --page-token {}[/]", response.next_page_token))


@account.command("deposit")
def deposit_cash(
    number: AccountNumber,
    amount: Annotated[str, typer.Argument(help='Such as "12.34".')],
    currency: Currency = "EUR",
    proposal: ProposalId = "",
    data: Data = None,
    identity: Identity = None,
) -> None:
    """Book cash that was paid in."""
    request = pb.DepositCashRequest(
        request_id=fresh_request_id(),
        account_number=_number(number),
        amount=money(amount, currency).to_proto(),
        proposal_id=proposal,
    )
    response = call(
        data, identity, lambda ch: AccountServiceStub(ch).DepositCash(request, timeout=DEADLINE_S)
    )
    _outcome(response.decline_reason, f"{money(amount, currency)} paid into {number}")


@account.command("withdraw")
def withdraw_cash(
    number: AccountNumber,
    amount: Annotated[str, typer.Argument(help='Such as "12.34".')],
    currency: Currency = "EUR",
    proposal: ProposalId = "",
    data: Data = None,
    identity: Identity = None,
) -> None:
    """Book cash that was paid out."""
    request = pb.WithdrawCashRequest(
        request_id=fresh_request_id(),
        account_number=_number(number),
        amount=money(amount, currency).to_proto(),
        proposal_id=proposal,
    )
    response = call(
        data, identity, lambda ch: AccountServiceStub(ch).WithdrawCash(request, timeout=DEADLINE_S)
    )
    _outcome(response.decline_reason, f"{money(amount, currency)} paid out of {number}")


def _statement(response: pb.ListEntriesResponse, auxiliary: int) -> Table:
    which = f"  auxiliary {auxiliary}" if auxiliary else ""
    table = Table(title=_summary(response.account) + which, title_justify="left", box=None)
    table.add_column("#", justify="right")
    table.add_column("booked")
    table.add_column("what")
    table.add_column("amount", justify="right")
    table.add_column("balance", justify="right")
    table.add_column("with")
    table.add_column("under")
    for entry in response.entries:
        amount = Money.from_proto(entry.amount)
        table.add_row(
            str(entry.sequence),
            _time(entry.book_time.ToMicroseconds()),
            pb.EntryKind.Name(entry.kind).removeprefix("ENTRY_KIND_").replace("_", " ").lower(),
            Text(amount.decimal(), style="green" if amount.minor > 0 else "red"),
            Money.from_proto(entry.balance).decimal(),
            pretty_account(parse(entry.counterparty)),
            entry.request_id,
        )
    return table


def _outcome(reason: DeclineReason.ValueType, done: str) -> None:
    if reason:
        raise Complaint(f"{name_of(reason)}: {meaning_of(reason).cashier} No money was moved.")
    _out.print(styled("[green]{}[/]", done))


def _number(text: str) -> str:
    try:
        return format_account(parse(text))
    except AccountNumberError as error:
        raise Complaint(f'"{text}": {error}') from None


def _show(a: pb.Account) -> None:
    balance, available = Money.from_proto(a.balance), Money.from_proto(a.available)
    held = Text("" if balance == available else f"{available} available", "dim")
    figures = Table.grid(padding=(0, 2))
    figures.add_column()
    figures.add_column(justify="right")
    figures.add_row("balance", str(balance), held)
    figures.add_row("auxiliaries", str(Money.from_proto(a.auxiliary)))
    figures.add_row(Text("total", "bold"), Text(str(Money.from_proto(a.total)), "bold"))
    _out.print(styled("[bold]{}[/]  {}", pretty_account(parse(a.account_number)), a.owner))
    _out.print(figures)


def _summary(a: pb.Account) -> Text:
    balance, available = Money.from_proto(a.balance), Money.from_proto(a.available)
    held = "" if balance == available else f", {available} available"
    number = pretty_account(parse(a.account_number))
    return styled("[bold]{}[/]  {}  [bold]{}[/]{}", number, a.owner, balance, held)


def _time(micros: int) -> str:
    return datetime.fromtimestamp(micros / 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S")
