"""`kessai clock`: what the switch's clock shows, and an operator's word that it is right."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import grpc.aio
import typer
from google.protobuf.timestamp_pb2 import Timestamp

from kessai.complaint import Complaint
from kessai.console import Console, Table, styled
from kessai.json_lines import print_json
from kessai.v1 import clock_pb2 as pb
from kessai.v1.clock_pb2_grpc import ClockServiceStub
from server.commands.operator_line import DEADLINE_S, call, change, request_id_of
from server.commands.options import AsJson, Data, Identity, RequestId
from server.commands.outcome import show_request
from server.shards.clock_watch import told

clock = typer.Typer(
    pretty_exceptions_enable=False,
    add_completion=False,
    no_args_is_help=True,
    help="See the switch's clock; confirm it after a jump.",
)

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]

_out = Console(soft_wrap=True)


@clock.command("status")
def show_status(as_json: AsJson = False, data: Data = None, identity: Identity = None) -> None:
    """Show the switch's clock, whether booking is held, and the booking time of each shard.

    Example: kessai clock status
    """
    state = call(data, identity, _state)
    if as_json:
        print_json([state])
    else:
        _print(state)


@clock.command("confirm")
def confirm_clock(
    yes: Yes = False, request_id: RequestId = "", data: Data = None, identity: Identity = None
) -> None:
    """Say that the switch's clock is right as it is; booking goes on by it.

    Example: kessai clock confirm --yes
    """
    state = call(data, identity, _state)
    if not state.jump_us:
        _print(state)
        _out.print("There is nothing to confirm: the clock made no jump. Nothing was done.")
        return
    shown = _text(state.wall_time)
    question = f"{told(state.jump_us)}. It shows {shown}. Is that the time?"
    if not yes and not typer.confirm(question):
        raise Complaint("the clock was not confirmed. Put it right; booking then goes on by itself")
    request = pb.ConfirmClockRequest(
        request_id=request_id_of(request_id), wall_time=state.wall_time
    )

    async def confirm(channel: grpc.aio.Channel) -> pb.ClockState:
        return (await ClockServiceStub(channel).ConfirmClock(request, timeout=DEADLINE_S)).state

    _print(change(data, identity, request.request_id, confirm))
    show_request(request.request_id)


async def _state(channel: grpc.aio.Channel) -> pb.ClockState:
    stub = ClockServiceStub(channel)
    return (await stub.GetClockState(pb.GetClockStateRequest(), timeout=DEADLINE_S)).state


def _print(state: pb.ClockState) -> None:
    _out.print(f"The switch's clock shows {_text(state.wall_time)}.")
    if state.jump_us:
        held = "[red]Nothing is booked:[/] {}. Is it right now? kessai clock confirm"
        _out.print(styled(held, told(state.jump_us)))
    else:
        _out.print(styled("[green]Booking goes on.[/]"))
    table = Table(box=None)
    table.add_column("shard", justify="right")
    table.add_column("booked until")
    for shard in state.shards:
        table.add_row(str(shard.shard), _text(shard.book_time) if shard.book_time.seconds else "-")
    _out.print(table)


def _text(time: Timestamp) -> str:
    moment = datetime.fromtimestamp(time.seconds, UTC)
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
