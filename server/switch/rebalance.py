"""Rebalancing (row B11): slots are moved, one after another, until each is where the plan has it.

The plan is kept durably and goes on by itself after a stop or a crash; so does a slot that was on
its way. What another switch on the same shards left half way is brought to its end, too. Started by
`server/bootstrap.py`, called by `server/rpc/shard_servicer.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import structlog

from kessai.account_number import SLOT_COUNT
from kessai.v1 import error_pb2
from server.identity.refusals import Refusal, Unknown
from server.shards.books_file import read_books, write_books
from server.shards.placement import SlotMap
from server.shards.router import Shards
from server.switch.background import Background
from server.switch.slot_move import SlotMover, Tally

_LOOK_S = 5.0

# Stands for all slots where troubles are noted by slot.
_ALL = -1

log = structlog.get_logger("rebalance")


class SlotsMoving(Refusal):
    """Another plan is not at its end yet."""

    reason = error_pb2.ERROR_REASON_SLOTS_MOVING

    def __init__(self, left: int) -> None:
        super().__init__(
            f"slots are being moved already, {left} are left; nothing was changed: wait for the end"
        )


class Range(NamedTuple):
    """Slots `first` to `last` are to be kept by `shard`."""

    first: int
    last: int
    shard: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the moving has come: slots left, the one at work (None: none), and what was done."""

    left: int
    slot: int | None
    source: int
    target: int
    tally: Tally
    trouble: str


class Rebalance:
    """Carries the plan of a data folder out, until closed."""

    def __init__(self, folder: Path, shards: Shards, mover: SlotMover) -> None:
        self._folder = folder
        self._shards = shards
        self._mover = mover
        self._plan: SlotMap | None = read_books(folder).plan
        self._at_work: tuple[int, int, int] | None = None
        self._trouble = ""
        self._wanted, self._idle = asyncio.Event(), asyncio.Event()
        self._background = Background(log)

    def start(self) -> None:
        """Begin, in the running event loop, where it was left."""
        self._background.keep("slots wait", self._turn)

    async def close(self) -> None:
        """Stop; what is not moved stays where it is, and goes on at the next start."""
        await self._background.close()

    def begin(self, ranges: Sequence[Range]) -> int:
        """Make a plan, durably, and begin to move: how many slots; without ranges, evenly.

        Unknown if a shard is not there; SlotsMoving while another plan is not at its end.
        """
        count = len(self._shards)
        for wanted in ranges:
            if not 0 <= wanted.shard < count:
                raise Unknown(f"there is no shard {wanted.shard}; there are {count}, from 0")
        now = self._shards.routes.map()
        plan = now
        for wanted in ranges:
            plan = plan.with_range(*wanted)
        plan = plan if ranges else now.evened(count)
        if self._plan is not None and self._plan != plan:
            raise SlotsMoving(len(self._left()))
        if plan != now:
            self._keep(plan)
        return len(self._left())

    async def idle(self) -> None:
        """Wait until there is no plan, and nothing on its way."""
        await self._idle.wait()

    def progress(self) -> Progress | None:
        """Tell how far it has come; None if there is nothing to move."""
        if self._plan is None:
            return None
        slot, source, target = self._at_work or (None, 0, 0)
        left = len(self._left())
        return Progress(left, slot, source, target, self._mover.tally, self._trouble)

    @property
    def tally(self) -> Tally:
        """What was moved since the start."""
        return self._mover.tally

    def _left(self) -> list[tuple[int, int]]:
        plan, routes = self._plan, self._shards.routes
        if plan is None:
            return []
        return [
            (slot, plan.shard_of_slot[slot])
            for slot in range(SLOT_COUNT)
            if routes.slot_home(slot) != plan.shard_of_slot[slot]
            or routes.on_its_way(slot) is not None
        ]

    def _keep(self, plan: SlotMap | None) -> None:
        write_books(self._folder, replace(read_books(self._folder), plan=plan))
        self._plan = plan
        self._idle.clear()
        self._wanted.set()

    async def _turn(self) -> None:
        self._wanted.clear()
        try:
            await self._work()
            self._trouble = ""
        except Exception as error:
            self._trouble = str(error) or type(error).__name__
            raise
        if self._plan is None:
            self._idle.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_S):
                await self._wanted.wait()

    async def _work(self) -> None:
        """Bring to an end what can be, each slot by itself; then raise the first trouble."""
        troubles: dict[int, Exception] = {}
        with _alone(troubles, _ALL):
            await self._shards.learn()
        await self._finish_all(troubles)
        for source, moved in self._shards.routes.unclean():
            with _alone(troubles, moved.slot):
                await self._mover.sweep(source, moved.slot)
        while left := self._left():
            await self._move_all(left, troubles)
            if troubles:
                break
        self._at_work = None
        for trouble in troubles.values():
            raise trouble
        if self._plan is not None:
            self._keep(None)

    async def _move_all(self, left: list[tuple[int, int]], troubles: dict[int, Exception]) -> None:
        away: set[tuple[int, int]] = set()
        for slot, target in left:
            source = self._shards.routes.slot_home(slot)
            if slot in troubles or (source, target) in away:
                continue
            self._at_work = (slot, source, target)
            with _alone(troubles, slot):
                await self._mover.move(slot, target)
            if slot in troubles:
                away.add((source, target))
            await self._finish_all(troubles)

    async def _finish_all(self, troubles: dict[int, Exception]) -> None:
        """Bring to its new home what this switch or another one has left on its way."""
        for source, moved in self._shards.routes.all_on_their_way():
            if moved.slot not in troubles:
                self._at_work = (moved.slot, source, moved.shard)
                with _alone(troubles, moved.slot):
                    await self._mover.finish(source, moved)


@contextmanager
def _alone(troubles: dict[int, Exception], slot: int) -> Iterator[None]:
    """Note what goes wrong with one slot, and go on with the others."""
    try:
        yield
    except Exception as error:
        troubles[slot] = error
