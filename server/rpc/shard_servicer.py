"""ShardService on the wire: translates, decides nothing.

What is decided is decided in `server/switch/more_shards.py` and `server/switch/rebalance.py`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import grpc.aio

from kessai.account_number import SLOT_COUNT
from kessai.v1 import shard_pb2 as pb
from kessai.v1.shard_pb2_grpc import ShardServiceServicer
from server.rpc import fields
from server.rpc.errors import field_invalid
from server.switch.more_shards import MoreShards
from server.switch.rebalance import Progress, Range, Rebalance
from server.switch.shard_status import ShardState

_LONGEST_URL = 1000

Context = grpc.aio.ServicerContext[Any, Any]


class ShardServicer(ShardServiceServicer):
    """Serves operators. `states` tells what each shard keeps."""

    def __init__(
        self,
        more_shards: MoreShards,
        rebalance: Rebalance,
        states: Callable[[], Awaitable[list[ShardState]]],
    ) -> None:
        self._more_shards = more_shards
        self._rebalance = rebalance
        self._states = states

    async def AddShard(self, request: pb.AddShardRequest, context: Context) -> pb.AddShardResponse:
        """Add an empty shard."""
        request_id = fields.request_id(request.request_id)
        if not 1 <= len(request.url) <= _LONGEST_URL:
            raise field_invalid("url", f"must have 1 to {_LONGEST_URL} characters")
        return pb.AddShardResponse(shard=await self._more_shards.add(request.url, request_id))

    async def RebalanceShards(
        self, request: pb.RebalanceShardsRequest, context: Context
    ) -> pb.RebalanceShardsResponse:
        """Begin to move slots."""
        fields.request_id(request.request_id)
        for wanted in request.ranges:
            if not 0 <= wanted.first_slot <= wanted.last_slot < SLOT_COUNT:
                raise field_invalid("ranges", f"slots are 0 to {SLOT_COUNT - 1}, first to last")
        ranges = [Range(r.first_slot, r.last_slot, r.shard) for r in request.ranges]
        return pb.RebalanceShardsResponse(slot_count=self._rebalance.begin(ranges))

    async def GetShardStatus(
        self, request: pb.GetShardStatusRequest, context: Context
    ) -> pb.GetShardStatusResponse:
        """Tell what each shard keeps, and how far the moving has come."""
        response = pb.GetShardStatusResponse()
        for state in await self._states():
            response.shards.add(
                shard=state.shard,
                place=state.place,
                slot_count=state.slots,
                account_count=state.accounts,
            )
        progress = self._rebalance.progress()
        if progress is not None:
            response.progress.CopyFrom(_written(progress))
        return response


def _written(progress: Progress) -> pb.MoveProgress:
    return pb.MoveProgress(
        slots_left=progress.left,
        slots_moved=progress.tally.slots,
        slot=progress.slot or 0,
        source_shard=progress.source,
        target_shard=progress.target,
        entries_copied=progress.tally.entries,
        longest_wait_us=progress.tally.longest_wait_us,
        trouble=progress.trouble,
    )
