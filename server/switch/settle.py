"""Settling: the one way in which a command of a feature reaches its shard.

Every feature hands its commands to `settle`, which keeps the promise of the request id over all
shards, and turns the store's troubles into refusals that a caller understands. With `depositor.py`
the only code that spans shards.
"""

from __future__ import annotations

from collections.abc import Callable

from server.domain.command import Command
from server.identity.refusals import RequestIdReused
from server.shards import settlement_log
from server.shards.router import Shards
from server.shards.settlement_log import LogRow
from server.switch.claims import MEMORY_US, Claims, is_young
from server.switch.refused import RequestIdStale, refusing_store_trouble


class Settle:
    """Submits commands, each with one effect for ever."""

    def __init__(self, shards: Shards, now_us: Callable[[], int]) -> None:
        self._shards = shards
        self._now_us = now_us
        self._claims = Claims(now_us())

    async def restore(self) -> None:
        """Learn from the logs which request ids were used lately; before the first command."""
        since_us = self._now_us() - MEMORY_US
        self._claims.restore(await self._shards.recent_request_ids(since_us))

    async def __call__(self, command: Command, deferred: bool = False) -> tuple[int, LogRow]:
        """Have a command decided and made durable: its shard and its log row.

        A command that was done before gets its first row. One that was `deferred` may be new
        though its id is old; then all logs are asked for it first. Raises RequestIdReused,
        RequestIdStale, Unavailable, Overloaded.
        """
        now_us = self._now_us()
        shard = self._shards.home_of(command.home()).place.shard
        with refusing_store_trouble():
            young = is_young(command.request_id, now_us)
            if not young and not deferred:
                return shard, await self._first_row(command)
            if not young:  # asked before it is claimed: a claim must not outlive a refusal here
                found = await self._shards.find(command.request_id)
                if found is not None and found[0] != shard:
                    raise RequestIdReused
            if not self._claims.claim(command.request_id, shard, now_us):
                raise RequestIdReused
            try:
                return shard, await self._shards.submit(command)
            except settlement_log.RequestIdReused:
                raise RequestIdReused from None

    async def _first_row(self, command: Command) -> LogRow:
        shard = self._shards.home_of(command.home())
        row = await shard.read(lambda reader: reader.row(command.request_id))
        if row is None:
            raise RequestIdStale
        if (row.kind, row.input_hash) != (command.kind, command.input_hash):
            raise RequestIdReused
        return row
