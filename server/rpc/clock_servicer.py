"""ClockService on the wire: translates, decides nothing."""

from __future__ import annotations

from typing import Any

import grpc.aio

from kessai.v1 import clock_pb2 as pb
from kessai.v1.clock_pb2_grpc import ClockServiceServicer
from server.rpc import fields
from server.rpc.errors import field_invalid
from server.switch.clock import ClockState, SwitchClock

Context = grpc.aio.ServicerContext[Any, Any]


class ClockServicer(ClockServiceServicer):
    """Serves operators."""

    def __init__(self, clock: SwitchClock) -> None:
        self._clock = clock

    async def GetClockState(
        self, request: pb.GetClockStateRequest, context: Context
    ) -> pb.GetClockStateResponse:
        """How the clock stands."""
        return pb.GetClockStateResponse(state=_written(await self._clock.state()))

    async def ConfirmClock(
        self, request: pb.ConfirmClockRequest, context: Context
    ) -> pb.ConfirmClockResponse:
        """Take an operator's word for it."""
        request_id = fields.request_id(fields.times(request).request_id)
        if not request.HasField("wall_time"):
            raise field_invalid("wall_time", "say which time the switch's clock showed")
        state = await self._clock.confirm(request_id, request.wall_time.ToMicroseconds())
        return pb.ConfirmClockResponse(state=_written(state))


def _written(state: ClockState) -> pb.ClockState:
    written = pb.ClockState(jump_us=state.jump_us)
    written.wall_time.FromMicroseconds(state.wall_us)
    for number, book_us in enumerate(state.book_us):
        shard = written.shards.add(shard=number)
        if book_us:
            shard.book_time.FromMicroseconds(book_us)
    return written
