"""`kessai loss`: what terminals accepted off line and the switch then declined."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from kessai.console import Console, Table, styled
from kessai.json_lines import print_json
from kessai.money import Money
from kessai.v1 import holder_pb2 as pb
from kessai.v1.holder_pb2_grpc import HolderServiceStub
from server.commands.fleet import moment
from server.commands.operator_line import DEADLINE_S, call, change, request_id_of
from server.commands.options import AsJson, Data, Identity, Limit, RequestId
from server.commands.outcome import show_request

loss = typer.Typer(
    pretty_exceptions_enable=False,
    add_completion=False,
    no_args_is_help=True,
    help="List what terminals lost off line, and forgive it.",
)

_out = Console()


@loss.command("list")
def list_losses(
    limit: Limit = 50,
    as_json: AsJson = False,
    data: Data = None,
    identity: Identity = None,
) -> None:
    """List the newest losses, and by whose fault they are.

    Example: kessai loss list --limit 10
    """
    request = pb.ListOfflineLossesRequest(page_size=limit)
    answer = call(
        data,
        identity,
        lambda ch: HolderServiceStub(ch).ListOfflineLosses(request, timeout=DEADLINE_S),
    )
    if as_json:
        print_json(answer.losses)
        return
    table = Table("when", "terminal", "phone", "amount", "declined for", "fault", "payment")
    table.empty = "terminals lost nothing"
    for each in answer.losses:
        table.add_row(
            moment(each.lose_time),
            each.terminal,
            each.phone,
            _amount(each),
            each.reason,
            _fault(each),
            each.payment_id,
        )
    _out.print(table)


@loss.command("forgive")
def forgive_losses(
    wallet: Annotated[str, typer.Argument(help="The wallet: the middle part of phone/ann/pixel.")],
    request_id: RequestId = "",
    data: Data = None,
    identity: Identity = None,
) -> None:
    """Let a wallet's losses count no more; its phones' next credentials have a limit again.

    Example: kessai loss forgive ann
    """
    request = pb.ForgiveOfflineLossesRequest(request_id=request_id_of(request_id), wallet_id=wallet)
    answer = change(
        data,
        identity,
        request.request_id,
        lambda ch: HolderServiceStub(ch).ForgiveOfflineLosses(request, timeout=DEADLINE_S),
    )
    _out.print(styled("{} losses of {} count no more", str(answer.forgiven_count), wallet))
    show_request(request.request_id)


def _amount(lost: pb.OfflineLoss) -> str:
    return str(Money.from_proto(lost.amount)) if lost.amount.currency_code else ""


def _fault(lost: pb.OfflineLoss) -> Text:
    if not lost.by_phone:
        return Text("not the phone's", style="dim")
    if lost.HasField("forgive_time"):
        return Text(f"the phone's, forgiven {moment(lost.forgive_time)}", style="dim")
    return Text("the phone's", style="red")
