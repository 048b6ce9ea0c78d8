"""`kessai merchant`: what an operator does with merchants."""

from __future__ import annotations

from typing import Annotated

import typer

from kessai.console import Console, styled
from kessai.v1.device_pb2 import CreateMerchantRequest
from kessai.v1.device_pb2_grpc import DeviceServiceStub
from kessai.v1.fare_pb2 import SetMinimumBalanceRequest
from kessai.v1.fare_pb2_grpc import FareServiceStub
from server.commands.amounts import account_of, amount_of, currency_of_account
from server.commands.operator_line import DEADLINE_S, change, request_id_of
from server.commands.options import Data, Identity, RequestId
from server.commands.outcome import show_request

merchant = typer.Typer(
    pretty_exceptions_enable=False,
    add_completion=False,
    no_args_is_help=True,
    help="Enter merchants.",
)

_out = Console()


@merchant.callback()
def _merchant() -> None:
    """Enter merchants."""


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
    request = CreateMerchantRequest(
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
    least = amount_of(minimum)
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
