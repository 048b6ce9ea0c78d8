"""`kessai account`: what an operator does with accounts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.text import Text

from kessai.account_number import parse_account as parse
from kessai.account_number import pretty_account
from kessai.console import Console, Table, styled
from kessai.enum_name import enum_name
from kessai.json_lines import print_json
from kessai.money import Money
from kessai.v1 import account_pb2 as pb
from kessai.v1.account_pb2_grpc import AccountServiceStub
from server.commands import cash, standing, suspense
from server.commands.amounts import account_of
from server.commands.operator_line import DEADLINE_S, call, change, request_id_of
from server.commands.options import AccountNumber, AsJson, Data, Identity, Limit, RequestId
from server.commands.outcome import show_request

account = typer.Typer(
    pretty_exceptions_enable=False,
    add_completion=False,
    no_args_is_help=True,
    help="Open accounts, take cash in and out, read statements.",
)

_out = Console()

account.command("deposit")(cash.deposit_cash)
account.command("withdraw")(cash.withdraw_cash)
account.command("list")(standing.list_accounts)
account.command("freeze")(standing.freeze_account)
account.command("unfreeze")(standing.unfreeze_account)
account.command("close")(standing.close_account)
account.command("suspense")(suspense.list_suspense)
account.command("release")(suspense.release_suspense)


@account.command("open")
def open_account(
    owner: Annotated[str, typer.Argument(help='"wallet/<id>" or "merchant/<id>".')],
    currency: Annotated[str, typer.Option(help="ISO 4217 code.")] = "EUR",
    branch: Annotated[int, typer.Option(help="The branch.", min=1, max=9999)] = 1,
    number: Annotated[
        int, typer.Option(help="A number of your choice; 0: any.", min=0, max=99_999_999)
    ] = 0,
    request_id: RequestId = "",
    data: Data = None,
    identity: Identity = None,
) -> None:
    """Open an account for a wallet or a merchant.

    Example: kessai account open wallet/ann --currency EUR
    """
    request = pb.OpenAccountRequest(
        request_id=request_id_of(request_id),
        owner=owner,
        currency_code=currency.upper(),
        branch=branch,
        number=number,
    )
    response = change(
        data,
        identity,
        request.request_id,
        lambda ch: AccountServiceStub(ch).OpenAccount(request, timeout=DEADLINE_S),
    )
    number_given = pretty_account(parse(response.account.account_number))
    _out.print(styled("[green]{} is open for {}[/]", number_given, owner))
    show_request(request.request_id)


@account.command("show")
def show_account(
    number: AccountNumber, as_json: AsJson = False, data: Data = None, identity: Identity = None
) -> None:
    """Show an account's balance, what its auxiliaries hold, and the total.

    Example: kessai account show 0001-00000042-20
    """
    request = pb.GetAccountRequest(account_number=account_of(number))
    response = call(
        data, identity, lambda ch: AccountServiceStub(ch).GetAccount(request, timeout=DEADLINE_S)
    )
    if as_json:
        print_json([response.account])
    else:
        _show(response.account)


@account.command("distribute")
def distribute_account(
    number: AccountNumber,
    request_id: RequestId = "",
    data: Data = None,
    identity: Identity = None,
) -> None:
    """Give a busy payee's account an auxiliary on every shard: many may pay it at once.

    Example: kessai account distribute 0001-00000007-28
    """
    request = pb.DistributeAccountRequest(
        request_id=request_id_of(request_id), account_number=account_of(number)
    )
    response = change(
        data,
        identity,
        request.request_id,
        lambda ch: AccountServiceStub(ch).DistributeAccount(request, timeout=DEADLINE_S),
    )
    _out.print(styled("[green]distributed over {} shards[/]", response.auxiliary_count))
    _show(response.account)
    show_request(request.request_id)


@account.command("merge")
def merge_account(
    number: AccountNumber,
    request_id: RequestId = "",
    data: Data = None,
    identity: Identity = None,
) -> None:
    """Merge at once what the auxiliaries of a distributed account hold.

    Example: kessai account merge 0001-00000007-28
    """
    request = pb.MergeAccountRequest(
        request_id=request_id_of(request_id), account_number=account_of(number)
    )
    response = change(
        data,
        identity,
        request.request_id,
        lambda ch: AccountServiceStub(ch).MergeAccount(request, timeout=DEADLINE_S),
    )
    _out.print(styled("[green]{} merged[/]", Money.from_proto(response.merged)))
    _show(response.account)
    show_request(request.request_id)


@account.command("statement")
def show_statement(
    number: AccountNumber,
    limit: Limit = 20,
    page_token: Annotated[str, typer.Option(help="Where to go on.")] = "",
    auxiliary: Annotated[
        int, typer.Option(min=0, help="Of a distributed account: an auxiliary, from 1 on.")
    ] = 0,
    as_json: AsJson = False,
    data: Data = None,
    identity: Identity = None,
) -> None:
    """List an account's entries, newest first.

    Example: kessai account statement 0001-00000042-20 --limit 50 --json
    """
    request = pb.ListEntriesRequest(
        account_number=account_of(number),
        page_size=limit,
        page_token=page_token,
        auxiliary=auxiliary,
    )
    response = call(
        data, identity, lambda ch: AccountServiceStub(ch).ListEntries(request, timeout=DEADLINE_S)
    )
    if as_json:
        print_json(response.entries)
        return
    _out.print(_statement(response, auxiliary))
    if response.next_page_token:
        _out.print(styled("[dim]older entries: --page-token {}[/]", response.next_page_token))


def _statement(response: pb.ListEntriesResponse, auxiliary: int) -> Table:
    which = f"  auxiliary {auxiliary}" if auxiliary else ""
    table = Table(title=_summary(response.account) + which, title_justify="left", box=None)
    table.add_column("#", justify="right")
    table.add_column("booked (UTC)")
    table.add_column("what")
    table.add_column("amount", justify="right")
    table.add_column("balance", justify="right")
    table.add_column("with")
    table.add_column("under")
    table.empty = "nothing was booked yet"
    for entry in response.entries:
        amount = Money.from_proto(entry.amount)
        table.add_row(
            str(entry.sequence),
            _time(entry.book_time.ToMicroseconds()),
            enum_name(pb.EntryKind.DESCRIPTOR, entry.kind, "ENTRY_KIND_").replace("_", " ").lower(),
            Text(amount.decimal(), style="green" if amount.minor > 0 else "red"),
            Money.from_proto(entry.balance).decimal(),
            pretty_account(parse(entry.counterparty)),
            entry.request_id,
        )
    return table


def _show(a: pb.Account) -> None:
    balance, available = Money.from_proto(a.balance), Money.from_proto(a.available)
    held = Text("" if balance == available else f"{available} available", "dim")
    figures = Table.grid(padding=(0, 2))
    figures.add_column()
    figures.add_column(justify="right")
    figures.add_row("balance", str(balance), held)
    figures.add_row("auxiliaries", str(Money.from_proto(a.auxiliary)))
    figures.add_row(Text("total", "bold"), Text(str(Money.from_proto(a.total)), "bold"))
    number = styled("[bold]{}[/]  {}  ", pretty_account(parse(a.account_number)), a.owner)
    _out.print(number + standing.standing_of(a))
    _out.print(figures)


def _summary(a: pb.Account) -> Text:
    balance, available = Money.from_proto(a.balance), Money.from_proto(a.available)
    held = "" if balance == available else f", {available} available"
    number = pretty_account(parse(a.account_number))
    return styled("[bold]{}[/]  {}  [bold]{}[/]{}", number, a.owner, balance, held)


def _time(micros: int) -> str:
    return datetime.fromtimestamp(micros / 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S")
