"""`kessai account list`, `freeze`, `unfreeze` and `close`. Mounted by `accounts.py`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import grpc.aio
import typer
from rich.text import Text

from kessai.account_number import parse_account, pretty_account
from kessai.complaint import Complaint
from kessai.console import Console, Table, styled
from kessai.enum_name import enum_name
from kessai.json_lines import print_json
from kessai.money import Money
from kessai.v1 import account_pb2 as pb
from kessai.v1.account_pb2_grpc import AccountServiceStub
from server.commands.amounts import account_of
from server.commands.operator_line import DEADLINE_S, call, change, request_id_of
from server.commands.options import AccountNumber, AsJson, Data, Identity, ProposalId, RequestId
from server.commands.outcome import require_accepted, say_already, show_request

OWNER = re.compile(r"(wallet|merchant)/[a-z0-9-]{1,40}")
_PAGE = 500
_STYLES = {
    pb.ACCOUNT_STANDING_OPEN: "green",
    pb.ACCOUNT_STANDING_FROZEN: "yellow",
    pb.ACCOUNT_STANDING_CLOSED: "dim",
}

_out = Console(soft_wrap=True)


def list_accounts(
    owner: Annotated[str, typer.Option(help='Only of "wallet/<id>" or "merchant/<id>".')] = "",
    as_json: AsJson = False,
    data: Data = None,
    identity: Identity = None,
) -> None:
    """List accounts by number: open, frozen and closed.

    Example: kessai account list --owner wallet/ann --json
    """

    async def all_accounts(channel: grpc.aio.Channel) -> list[pb.Account]:
        stub, accounts, token = AccountServiceStub(channel), list[pb.Account](), ""
        while True:
            request = pb.ListAccountsRequest(page_size=_PAGE, page_token=token, owner=owner)
            page = await stub.ListAccounts(request, timeout=DEADLINE_S)
            accounts += page.accounts
            token = page.next_page_token
            if not token:
                return accounts

    if owner and not OWNER.fullmatch(owner):
        raise Complaint(f'"{owner}" is no owner: write wallet/<id> or merchant/<id>')
    accounts = call(data, identity, all_accounts)
    if as_json:
        print_json(accounts)
        return
    table = Table("account", "owner", "standing", "balance", "available", box=None)
    table.empty = f"{owner} has no account" if owner else "there is no account yet"
    for column in table.columns[3:]:
        column.justify = "right"
    for account in accounts:
        table.add_row(
            pretty_account(parse_account(account.account_number)),
            account.owner,
            standing_of(account),
            str(Money.from_proto(account.balance)),
            str(Money.from_proto(account.available)),
        )
    _out.print(table)


def freeze_account(
    number: AccountNumber,
    request_id: RequestId = "",
    data: Data = None,
    identity: Identity = None,
) -> None:
    """Let nothing out of an account from now on; money still comes in.

    Example: kessai account freeze 0001-00000042-20
    """
    if not request_id and _is(pb.ACCOUNT_STANDING_FROZEN, number, data, identity):
        say_already(number, "frozen")
        return
    request = pb.FreezeAccountRequest(
        request_id=request_id_of(request_id), account_number=account_of(number)
    )
    response = change(
        data,
        identity,
        request.request_id,
        lambda ch: AccountServiceStub(ch).FreezeAccount(request, timeout=DEADLINE_S),
    )
    require_accepted(response.decline_reason)
    _out.print(styled("[green]{} is frozen[/]: nothing goes out of it", number))
    show_request(request.request_id)


def unfreeze_account(
    number: AccountNumber,
    proposal: ProposalId = "",
    request_id: RequestId = "",
    data: Data = None,
    identity: Identity = None,
) -> None:
    """Let money out of a frozen account again.

    Example: kessai account unfreeze 0001-00000042-20
    """
    if not request_id and _is(pb.ACCOUNT_STANDING_OPEN, number, data, identity):
        say_already(number, "open")
        return
    request = pb.UnfreezeAccountRequest(
        request_id=request_id_of(request_id),
        account_number=account_of(number),
        proposal_id=proposal,
    )
    response = change(
        data,
        identity,
        request.request_id,
        lambda ch: AccountServiceStub(ch).UnfreezeAccount(request, timeout=DEADLINE_S),
    )
    require_accepted(response.decline_reason)
    _out.print(styled("[green]{} is open[/]", number))
    show_request(request.request_id)


def close_account(
    number: AccountNumber,
    request_id: RequestId = "",
    data: Data = None,
    identity: Identity = None,
) -> None:
    """Close an account for ever; refused while it holds money, or while anything names it.

    Example: kessai account close 0001-00000042-20
    """
    if not request_id and _is(pb.ACCOUNT_STANDING_CLOSED, number, data, identity):
        say_already(number, "closed")
        return
    request = pb.CloseAccountRequest(
        request_id=request_id_of(request_id), account_number=account_of(number)
    )
    response = change(
        data,
        identity,
        request.request_id,
        lambda ch: AccountServiceStub(ch).CloseAccount(request, timeout=DEADLINE_S),
    )
    require_accepted(response.decline_reason)
    _out.print(styled("[green]{} is closed[/]; its statement stays", number))
    show_request(request.request_id)


def _is(
    standing: pb.AccountStanding.ValueType, number: str, data: Path | None, identity: Path | None
) -> bool:
    request = pb.GetAccountRequest(account_number=account_of(number))
    answer = call(
        data, identity, lambda ch: AccountServiceStub(ch).GetAccount(request, timeout=DEADLINE_S)
    )
    return bool(answer.account.standing == standing)


def standing_of(account: pb.Account) -> Text:
    """What may be done with an account, in a word."""
    name = enum_name(pb.AccountStanding.DESCRIPTOR, account.standing, "ACCOUNT_STANDING_")
    return Text(name.lower(), style=_STYLES.get(account.standing, ""))
