"""`kessai account suspense` and `release`: what no payee could take. Mounted by `accounts.py`."""

from __future__ import annotations

from typing import Annotated

import grpc.aio
import typer

from kessai.account_number import parse_account, pretty_account
from kessai.complaint import Complaint
from kessai.console import Console, Table, styled
from kessai.json_lines import print_json
from kessai.money import Money
from kessai.request_id import RequestIdError, parse_request_id
from kessai.v1 import suspense_pb2 as pb
from kessai.v1.suspense_pb2_grpc import SuspenseServiceStub
from server.commands.amounts import Amount, account_of, amount_of, currency_of_account
from server.commands.fleet import moment
from server.commands.operator_line import DEADLINE_S, call, change, request_id_of
from server.commands.options import AccountNumber, AsJson, Data, Identity, ProposalId, RequestId
from server.commands.outcome import require_accepted, show_request

_PAGE = 500

_out = Console(soft_wrap=True)


def list_suspense(as_json: AsJson = False, data: Data = None, identity: Identity = None) -> None:
    """List money in suspense: what reached a shard where its payee could not take it.

    Example: kessai account suspense --json
    """

    async def all_entries(channel: grpc.aio.Channel) -> list[pb.SuspenseEntry]:
        stub, entries, token = SuspenseServiceStub(channel), list[pb.SuspenseEntry](), ""
        while True:
            request = pb.ListSuspenseRequest(page_size=_PAGE, page_token=token)
            page = await stub.ListSuspense(request, timeout=DEADLINE_S)
            entries += page.entries
            token = page.next_page_token
            if not token:
                return entries

    entries = call(data, identity, all_entries)
    if as_json:
        print_json(entries)
        return
    table = Table("booked", "amount", "from", "for", "under", box=None)
    table.empty = "Nothing lies in suspense."
    for entry in entries:
        table.add_row(
            moment(entry.book_time),
            str(Money.from_proto(entry.amount)),
            pretty_account(parse_account(entry.payer_account_number)),
            pretty_account(parse_account(entry.payee_account_number)),
            entry.entry_request_id,
        )
    _out.print(table)


def release_suspense(
    entry: Annotated[str, typer.Argument(help='What "account suspense" shows as "under".')],
    number: AccountNumber,
    amount: Amount,
    proposal: ProposalId = "",
    request_id: RequestId = "",
    data: Data = None,
    identity: Identity = None,
) -> None:
    """Pay what lies in suspense out to an account: the whole entry, once.

    Example: kessai account release 0197f3a2-7c1e-7000-8000-0123456789ab 0001-00000042-20 12.50
    """
    account = account_of(number)
    money = amount_of(amount, lambda: currency_of_account(data, identity, account))
    request = pb.ReleaseSuspenseRequest(
        request_id=request_id_of(request_id),
        entry_request_id=_entry(entry),
        account_number=account,
        amount=money.to_proto(),
        proposal_id=proposal,
    )
    response = change(
        data,
        identity,
        request.request_id,
        lambda ch: SuspenseServiceStub(ch).ReleaseSuspense(request, timeout=DEADLINE_S),
    )
    require_accepted(response.decline_reason)
    _out.print(styled("[green]{} released to {}[/]", money, number))
    show_request(request.request_id)


def _entry(text: str) -> str:
    try:
        parse_request_id(text)
    except RequestIdError as error:
        raise Complaint(f'"{text}": {error}. Nothing was done.') from None
    return text
