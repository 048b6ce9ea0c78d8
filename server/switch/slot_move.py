"""Moving one slot from a shard to another while payments run (row B11).

    1  entries are copied, as long as there are many that are not copied yet
    2  commands of the slot are held back
    3  MOVE_OUT: one commit at the source; the slot is nowhere, and its accounts are in the row
    4  the last entries are copied
    5  MOVE_IN: one commit at the target; the slot is there
    6  commands of the slot go on at the target
    7  what is left of the slot's entries at the source is removed

Killed before 3, nothing has happened; killed later, `finish` goes on at 4. Used by `rebalance.py`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from kessai.v1.shard_pb2 import MovedAccount, SlotMove
from server.domain.slot_move import move_in
from server.shards.placement import Moved
from server.shards.relocate import Depart, SlotMoved, Swept
from server.shards.remote_shard import AnyShard
from server.shards.router import Shards
from server.shards.settlement_log import LogRow
from server.shards.store import Span, StoreUnavailable
from server.switch.slot_copy import SlotCopy

_FEW, _PASSES = 200, 5
_SWEPT_AT_ONCE = 1000


@dataclass(slots=True)
class Tally:
    """What was moved since the start."""

    slots: int = 0
    entries: int = 0
    longest_wait_us: int = 0

    def copied(self, entries: int) -> None:
        """Count entries."""
        self.entries += entries

    def waited(self, seconds: float) -> None:
        """Keep the longest wait of a slot's commands."""
        self.longest_wait_us = max(self.longest_wait_us, int(seconds * 1_000_000))


class SlotMover:
    """Moves slots, one at a time. `new_id` makes a request id for a move."""

    def __init__(self, shards: Shards, new_id: Callable[[], bytes]) -> None:
        self._shards = shards
        self._new_id = new_id
        self.tally = Tally()

    async def move(self, slot: int, target: int) -> None:
        """Move a slot to a shard; StoreUnavailable, LaneFull or LaneClosed if it cannot be now.

        After that it is where it was, or on its way: then `finish` brings it there.
        """
        source_number = self._shards.routes.slot_home(slot)
        source, coming = self._shards.shard(source_number), self._shards.shard(target)
        # What the slot left there when it went may not be removed after it has come back.
        await self.sweep(target, slot)
        await self._learn(source_number)
        generation = self._shards.routes.generation(slot) + 1
        copy = SlotCopy(source, coming, slot, generation, self.tally.copied)
        for _ in range(_PASSES):
            residents = await source.read(lambda reader: reader.residents(slot))
            if await copy.copy((account.id, account.sequence) for account in residents) <= _FEW:
                break
        begin = time.monotonic()
        self._shards.routes.hold_back(slot)
        try:
            left = await source.submit(Depart(self._new_id(), slot, target, generation))
            assert left is not None  # a departure has a row  # noqa: S101
            await self._bring(left, copy)
            self.tally.waited(time.monotonic() - begin)
        except SlotMoved:  # another switch moves it
            return
        finally:
            await self._settle_routes(slot, source_number)
        self.tally.slots += 1
        await self.sweep(source_number, slot)

    async def finish(self, source: int, moved: Moved) -> None:
        """Bring a slot that left a shard to its new home; raises what `move` does."""
        shard = self._shards.shard(source)
        left = await shard.read(lambda reader: reader.row(moved.move_id))
        if left is None:
            raise StoreUnavailable(f"shard {source} does not know move {moved.move_id.hex()}")
        target = self._shards.shard(moved.shard)
        copy = SlotCopy(shard, target, moved.slot, moved.generation, self.tally.copied)
        await self._bring(left, copy)
        await self._learn(moved.shard)
        self.tally.slots += 1

    async def sweep(self, shard: int, slot: int) -> None:
        """Remove what a slot that went has left behind in a shard."""
        moved = {m.slot: m for m in await self._learn(shard)}.get(slot)
        if moved is None or moved.is_clean or self._shards.routes.on_its_way(slot) is not None:
            return
        here = self._shards.shard(shard)
        row = await here.read(lambda reader: reader.row(moved.move_id))
        assert row is not None  # it left by this row  # noqa: S101
        for spans in _portions(SlotMove.FromString(row.body).accounts):
            await here.submit(Swept(moved, spans, is_last=False))
        await here.submit(Swept(moved, (), is_last=True))
        await self._learn(shard)

    async def _bring(self, left: LogRow, copy: SlotCopy) -> None:
        move = SlotMove.FromString(left.body)
        await copy.copy((account.id, account.sequence) for account in move.accounts)
        digests = {
            account.id: copy.digests[account.id].of(account.digest_version)
            for account in move.accounts
            if account.id in copy.digests
        }
        await copy.target.submit(move_in(left.request_id, move, digests))

    async def _settle_routes(self, slot: int, source: int) -> None:
        """Learn where the slot is now; held back it stays only while it is on its way."""
        routes = self._shards.routes
        try:
            async with asyncio.timeout(5):
                await self._learn(source)
                await self._learn(routes.slot_home(slot))
        finally:
            if routes.on_its_way(slot) is None:
                routes.let_go(slot)

    async def _learn(self, number: int) -> list[Moved]:
        shard: AnyShard = self._shards.shard(number)
        moved = await shard.read(lambda reader: reader.moved())
        self._shards.routes.learn(number, moved)
        return moved


def _portions(accounts: Iterable[MovedAccount]) -> Iterator[tuple[Span, ...]]:
    """Name all entries of accounts, so many at once that a commit takes a few milliseconds."""
    portion: list[Span] = []
    size = 0
    for account in accounts:
        for first in range(1, account.sequence + 1, _SWEPT_AT_ONCE):
            last = min(account.sequence, first + _SWEPT_AT_ONCE - 1)
            portion.append(Span(account.id, first, last))
            size += last - first + 1
            if size >= _SWEPT_AT_ONCE:
                yield tuple(portion)
                portion, size = [], 0
    yield tuple(portion)
