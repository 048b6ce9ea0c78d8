"""`kessai merchant`: what an operator does with merchants."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import grpc.aio
import typer
from rich.text import Text

from kessai.account_number import parse_account, pretty_account
from kessai.complaint import Complaint
from kessai.console import Console, Table, styled
from kessai.json_lines import print_json
from kessai.money import Money
from kessai.v1 import device_pb2 as pb
from kessai.v1.device_pb2_grpc import DeviceServiceStub
from kessai.v1.fare_pb2 import SetMinimumBalanceRequest
from kessai.v1.fare_pb2_grpc import FareServiceStub
from server.commands.amounts import account_of, amount_of, currency_of_account
from server.commands.operator_line import DEADLINE_S, call, change, request_id_of
from server.commands.options import AsJson, Data, Identity, ProposalId, RequestId
from server.commands.outcome import say_already, show_request

merchant = typer.Typer(
    pretty_exceptions_enable=False,
    add_completion=False,
    no_args_is_help=True,
    help="Enter, list, edit and close merchants.",
)

_PAGE = 500

_out = Console()

MerchantId = Annotated[str, typer.Argument(help="The merchant, as kessai merchant list shows it.")]


@merchant.command("create")
def create_merchant(
    merchant_id: Annotated[str, typer.Argument(help='a-z, 0-9 and "-", at most 40.')],
    name: Annotated[str, typer.Option(help="The name that customers see.")],
    account: Annotated[str, typer.Option(help="The account it is paid on, 14 digits.")],
    category: Annotated[str, typer.Option(help="ISO 18245 category, four digits.")] = "5411",
    unverified_limit: Annotated[
        str, typer.Option(help='Up to which amount no PIN is needed, such as "5.00 EUR".')
    ] = "",
    request_id: RequestId = "",
    data: Data = None,
    identity: Identity = None,
) -> None:
    """Enter a merchant in the directory.

    Example: kessai merchant create shop --name "Corner Shop" --account 0001-00000007-28
    """
    number = account_of(account)
    request = pb.CreateMerchantRequest(
        request_id=request_id_of(request_id),
        merchant_id=merchant_id,
        display_name=name,
        category_code=category,
        account_number=number,
    )
    if unverified_limit:
        limit = amount_of(unverified_limit, lambda: currency_of_account(data, identity, number))
        request.unverified_limit.CopyFrom(limit.to_proto())
    change(
        data,
        identity,
        request.request_id,
        lambda ch: DeviceServiceStub(ch).CreateMerchant(request, timeout=DEADLINE_S),
    )
    _out.print(styled("[green]{}[/] ({}) is paid on {}", name, merchant_id, account))
    show_request(request.request_id)


@merchant.command("list")
def list_merchants(as_json: AsJson = False, data: Data = None, identity: Identity = None) -> None:
    """List all merchants, also those that were closed.

    Example: kessai merchant list --json
    """
    merchants = fetch_merchants(data, identity)
    if as_json:
        print_json(merchants)
        return
    table = Table("merchant", "name", "category", "account", "no PIN up to", "", box=None)
    table.empty = "there is no merchant yet"
    for each in merchants:
        limit = each.unverified_limit
        table.add_row(
            each.merchant_id,
            each.display_name,
            each.category_code,
            pretty_account(parse_account(each.account_number)),
            str(Money.from_proto(limit)) if each.HasField("unverified_limit") else "",
            Text("closed", "dim") if each.HasField("close_time") else "",
        )
    _out.print(table)


@merchant.command("edit")
def edit_merchant(
    merchant_id: MerchantId,
    name: Annotated[str, typer.Option(help="The name that customers see.")] = "",
    account: Annotated[str, typer.Option(help="The account it is paid on, 14 digits.")] = "",
    category: Annotated[str, typer.Option(help="ISO 18245 category, four digits.")] = "",
    unverified_limit: Annotated[
        str, typer.Option(help='Up to which amount no PIN is needed, or "never".')
    ] = "",
    proposal: ProposalId = "",
    request_id: RequestId = "",
    data: Data = None,
    identity: Identity = None,
) -> None:
    """Change a merchant; what is not given stays. Terminals tell it once they are renewed.

    Example: kessai merchant edit shop --name "Corner Shop" --unverified-limit never
    """
    request = pb.UpdateMerchantRequest(
        request_id=request_id_of(request_id),
        merchant_id=merchant_id,
        display_name=name,
        category_code=category,
        account_number=account_of(account) if account else "",
        proposal_id=proposal,
    )
    if unverified_limit:
        currency = _currency_of(merchant_id, data, identity)
        never = unverified_limit == "never"
        limit = Money(0, currency) if never else amount_of(unverified_limit, lambda: currency)
        request.unverified_limit.CopyFrom(limit.to_proto())
    response = change(
        data,
        identity,
        request.request_id,
        lambda ch: DeviceServiceStub(ch).UpdateMerchant(request, timeout=DEADLINE_S),
    )
    now = response.merchant
    _out.print(styled("[green]{}[/] ({}) is changed", now.display_name, merchant_id))
    show_request(request.request_id)


@merchant.command("close")
def close_merchant(
    merchant_id: MerchantId,
    request_id: RequestId = "",
    data: Data = None,
    identity: Identity = None,
) -> None:
    """Close a merchant for ever; refused while it has terminals, or offers on sale.

    Example: kessai merchant close shop
    """
    if not request_id and _is_closed(merchant_id, data, identity):
        say_already(merchant_id, "closed")
        return
    request = pb.CloseMerchantRequest(request_id=request_id_of(request_id), merchant_id=merchant_id)
    change(
        data,
        identity,
        request.request_id,
        lambda ch: DeviceServiceStub(ch).CloseMerchant(request, timeout=DEADLINE_S),
    )
    _out.print(styled("[green]{} is closed[/]", merchant_id))
    show_request(request.request_id)


@merchant.command("minimum-balance")
def set_minimum_balance(
    merchant_id: Annotated[str, typer.Argument(help="A carrier: a merchant of transport.")],
    minimum: Annotated[str, typer.Argument(help='What an account must hold, such as "1.00 EUR".')],
    request_id: RequestId = "",
    data: Data = None,
    identity: Identity = None,
) -> None:
    """Say what an account must hold for its holder to enter at a carrier's gates.

    Example: kessai merchant minimum-balance metro "1.00 EUR"
    """
    currency = partial(_currency_of, merchant_id, data, identity)
    least = amount_of(minimum, currency, may_be_zero=True)
    request = SetMinimumBalanceRequest(
        request_id=request_id_of(request_id),
        merchant_id=merchant_id,
        minimum_balance=least.to_proto(),
    )
    change(
        data,
        identity,
        request.request_id,
        lambda ch: FareServiceStub(ch).SetMinimumBalance(request, timeout=DEADLINE_S),
    )
    _out.print(styled("[green]{}[/]: whoever enters must hold {}", merchant_id, least))
    show_request(request.request_id)


def fetch_merchants(data: Path | None, identity: Path | None) -> list[pb.Merchant]:
    """All merchants of a running switch."""

    async def all_merchants(channel: grpc.aio.Channel) -> list[pb.Merchant]:
        stub, merchants, token = DeviceServiceStub(channel), list[pb.Merchant](), ""
        while True:
            request = pb.ListMerchantsRequest(page_size=_PAGE, page_token=token)
            page = await stub.ListMerchants(request, timeout=DEADLINE_S)
            merchants += page.merchants
            token = page.next_page_token
            if not token:
                return merchants

    return call(data, identity, all_merchants)


def _is_closed(merchant_id: str, data: Path | None, identity: Path | None) -> bool:
    merchants = fetch_merchants(data, identity)
    return any(one.merchant_id == merchant_id and one.HasField("close_time") for one in merchants)


def _currency_of(merchant_id: str, data: Path | None, identity: Path | None) -> str:
    """The currency of the account that a merchant is paid on; Complaint."""
    for each in fetch_merchants(data, identity):
        if each.merchant_id == merchant_id:
            return currency_of_account(data, identity, each.account_number)
    raise Complaint(f'there is no merchant "{merchant_id}". Nothing was done.')
