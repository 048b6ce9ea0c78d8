"""`kessai shards`: add account stores, move slots between them, and see how it stands."""

from __future__ import annotations

import asyncio
from typing import Annotated

import grpc.aio
import typer
from rich.console import JustifyMethod
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

from kessai.complaint import Complaint, Interrupted
from kessai.console import Console, Table, styled
from kessai.json_lines import print_json
from kessai.v1 import shard_pb2 as pb
from kessai.v1.shard_pb2_grpc import ShardServiceStub
from server.commands.operator_line import DEADLINE_S, call, change, request_id_of
from server.commands.options import AsJson, Data, Identity, RequestId, address_without_password
from server.commands.outcome import show_request

shards = typer.Typer(
    pretty_exceptions_enable=False,
    add_completion=False,
    no_args_is_help=True,
    help="Add account stores, and move slots between them while payments run.",
)

_LOOK_S = 0.2
_ADD_LIMIT_S = 30.0

_out = Console(soft_wrap=True)


@shards.command("add")
def add_shard(
    url: Annotated[str, typer.Argument(help="sqlite:///FILE or postgresql://ROLE@HOST/DATABASE.")],
    request_id: RequestId = "",
    data: Data = None,
    identity: Identity = None,
) -> None:
    """Add an empty account store to a running switch. Then rebalance.

    Example: kessai shards add sqlite:///shards/0004.db
    """
    request = pb.AddShardRequest(
        request_id=request_id_of(request_id), url=address_without_password(url)
    )
    response = change(
        data,
        identity,
        request.request_id,
        lambda ch: ShardServiceStub(ch).AddShard(request, timeout=_ADD_LIMIT_S),
    )
    there = "[green]shard {} is there, and empty.[/] Next: kessai shards rebalance"
    _out.print(styled(there, response.shard))
    show_request(request.request_id)


@shards.command("status")
def show_status(as_json: AsJson = False, data: Data = None, identity: Identity = None) -> None:
    """Show what each shard keeps, and how far the moving of slots has come.

    Example: kessai shards status
    """
    status = call(data, identity, _status)
    if as_json:
        print_json([status])
        return
    table = Table(box=None)
    for column in ("shard", "slots", "accounts", "place"):
        justify: JustifyMethod = "left" if column == "place" else "right"
        table.add_column(column, justify=justify, overflow="fold")
    for shard in status.shards:
        table.add_row(
            str(shard.shard), f"{shard.slot_count:,}", f"{shard.account_count:,}", shard.place
        )
    _out.print(table)
    if not status.HasField("progress"):
        _out.print("Each slot is where it belongs.")
        return
    moving = status.progress
    to_move = "[bold]{} slots are to move[/]; slot {}: shard {} -> {}"
    places = (moving.slot, moving.source_shard, moving.target_shard)
    _out.print(styled(to_move, f"{moving.slots_left:,}", *places))
    if moving.trouble:
        _out.print(styled("[red]waiting:[/] {}", moving.trouble))


@shards.command("rebalance")
def rebalance_shards(
    slots: Annotated[str, typer.Option(help='Only these, such as "0-99" or "7"; with --to.')] = "",
    to: Annotated[int, typer.Option(help="The shard that is to keep them.")] = -1,
    request_id: RequestId = "",
    data: Data = None,
    identity: Identity = None,
) -> None:
    """Move slots, evenly over all shards or as you say; Ctrl-C leaves it going on.

    Example: kessai shards rebalance --slots 0-99 --to 3
    """
    request = pb.RebalanceShardsRequest(
        request_id=request_id_of(request_id), ranges=_ranges(slots, to)
    )
    begun = change(
        data,
        identity,
        request.request_id,
        lambda ch: ShardServiceStub(ch).RebalanceShards(request, timeout=DEADLINE_S),
    )
    show_request(request.request_id)
    try:
        status = call(data, identity, lambda channel: _watch(channel, begun.slot_count))
    except KeyboardInterrupt:
        raise Interrupted(
            "stopped watching; the slots go on moving: kessai shards status"
        ) from None
    spread = ", ".join(f"{shard.slot_count}" for shard in status.shards)
    _out.print(styled("[green]Each slot is where it belongs.[/] Slots by shard: {}", spread))


async def _watch(channel: grpc.aio.Channel, total: int) -> pb.GetShardStatusResponse:
    """Show how it goes, on a terminal, until nothing is left to move."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
    )
    errors = Console(stderr=True)
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as bar:
        task = bar.add_task("moving slots", total=total)
        while True:
            status = await _status(channel)
            if not status.HasField("progress"):
                return status
            now = status.progress
            bar.update(task, completed=total - now.slots_left, description=_described(now))
            await asyncio.sleep(_LOOK_S)


async def _status(channel: grpc.aio.Channel) -> pb.GetShardStatusResponse:
    stub = ShardServiceStub(channel)
    request = pb.GetShardStatusRequest()
    return await stub.GetShardStatus(request, timeout=DEADLINE_S, wait_for_ready=True)


def _described(now: pb.MoveProgress) -> str:
    if now.trouble:
        return f"waiting: {now.trouble[:60]}"
    return f"slot {now.slot}: shard {now.source_shard} -> {now.target_shard}"


def _ranges(slots: str, to: int) -> list[pb.SlotRange]:
    if not slots and to < 0:
        return []
    first, _, last = slots.partition("-")
    last = last or first
    if not (first.isascii() and first.isdigit() and last.isascii() and last.isdigit() and to >= 0):
        raise Complaint(
            "say which slots and where to: --slots 0-99 --to 3. Slots are 0 to 1023. "
            "Nothing was moved."
        )
    if not int(first) <= int(last) <= 1023:
        raise Complaint(f'"{slots}": slots are 0 to 1023, the first before the last.')
    return [pb.SlotRange(first_slot=int(first), last_slot=int(last), shard=to)]
