"""The depositor: brings what the outboxes owe to the payees' shards (row B13).

One task a shard reads the outbox in order, submits an arrival for each row to the payee's shard,
and deletes the rows that have arrived durably. An arrival has its payment's id, so one that is
brought again after a crash changes nothing. What cannot arrive now stays owed and is in the way of
nothing else, unless there is very much of it. Each outbox is looked at every few seconds too, for
what another switch on the same shard left behind. With `settle.py` the only code that spans shards.
Started by `server/bootstrap.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

import structlog

from kessai.decline import name_of
from server.domain.arrival import arrival
from server.domain.command import ACCEPTED
from server.shards.clock_watch import ClockJumped
from server.shards.jobs import Delivered
from server.shards.lane import LaneFull
from server.shards.router import Shards
from server.shards.settlement_log import LogRow, RequestIdReused
from server.shards.store import OutboxRow, StoreUnavailable
from server.switch.background import Background, Waiting

_BATCH = 2048
_MOST_STUCK = 16 * _BATCH
_LOOK_S = 5.0
# Nobody waits for a deposit; what gathers for a moment, the same for all shards, meets in few
# commits.
_GATHER_S = 0.1

log = structlog.get_logger("depositor")


class ArrivalDeclined(Exception):
    """A debt that its payee's shard cannot book; it stays owed, for a person to look at.

    The house's own counters are full there; or two switches, each with claims of its own, took the
    same request id from payers on different shards, and the other payment has arrived before.
    """


class Depositor:
    """Delivers every outbox until closed; takes up at start where it stopped."""

    def __init__(self, shards: Shards) -> None:
        self._shards = shards
        self._loop: asyncio.AbstractEventLoop | None = None
        self._owed = [asyncio.Event() for _ in range(len(shards))]
        self._empty = [asyncio.Event() for _ in range(len(shards))]
        self._background = Background(log)

    def start(self) -> None:
        """Begin, in the running event loop, with what is owed from before."""
        self._loop = asyncio.get_running_loop()
        for shard in range(len(self._shards)):
            self._begin(shard)

    def add(self, shard: int) -> None:
        """Begin with a shard that is new; its number is the next one."""
        self._owed.append(asyncio.Event())
        self._empty.append(asyncio.Event())
        self._begin(shard)

    def wake(self, shard: int) -> None:
        """Say, from any thread, that a shard owes something new."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._note_owed, shard)

    async def bring(self, shard: int, row: OutboxRow) -> None:
        """Let one debt of a shard arrive; once, however often it is brought.

        ArrivalDeclined if the payee's shard cannot book it at all; it is owed as before.
        """
        [trouble] = await self._bring(shard, [row])
        if trouble is not None:
            raise trouble

    async def idle(self, timeout_s: float) -> None:
        """Wait until nothing is owed; TimeoutError if that takes too long."""
        async with asyncio.timeout(timeout_s):
            while not all(empty.is_set() for empty in self._empty):
                await asyncio.gather(*(empty.wait() for empty in self._empty))

    async def close(self) -> None:
        """Stop; what is still owed stays in the outboxes."""
        await self._background.close()

    def _begin(self, shard: int) -> None:
        self._owed[shard].set()
        self._background.keep(
            "deposits wait", partial(self._deliver_what_comes, shard), shard=shard
        )

    def _note_owed(self, shard: int) -> None:
        self._empty[shard].clear()
        self._owed[shard].set()

    async def _deliver_what_comes(self, shard: int) -> None:
        await self._something_owed(shard)
        await asyncio.sleep(_GATHER_S - asyncio.get_running_loop().time() % _GATHER_S)
        self._owed[shard].clear()
        try:
            await self._deliver_all(shard)
        except Exception:
            self._owed[shard].set()
            raise
        if not self._owed[shard].is_set():
            self._empty[shard].set()

    async def _something_owed(self, shard: int) -> None:
        # Another switch on the same shards may have died before it brought what it owed.
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_S):
                await self._owed[shard].wait()

    async def _deliver_all(self, shard: int) -> None:
        """Bring all that is owed; Waiting if something of it cannot arrive now."""
        stuck: dict[int, Exception] = {}
        away: set[int] = set()
        more = True
        while more and len(stuck) < _MOST_STUCK:
            limit = _BATCH + len(stuck)
            rows = await self._shards.outbox(shard, limit)
            if fresh := [row for row in rows if row.log_sequence not in stuck]:
                await self._deliver(shard, fresh, stuck, away)
            # What came after the look has set the event again.
            more = len(rows) == limit
        for trouble in stuck.values():
            if isinstance(trouble, ClockJumped):
                raise trouble
            raise Waiting(f"{len(stuck)} of them: {_why(trouble)}")

    async def _deliver(
        self, shard: int, rows: list[OutboxRow], stuck: dict[int, Exception], away: set[int]
    ) -> None:
        """Tick off what has arrived; note what has not, and which shards are not to be asked again.

        A debt that was declined says nothing of the next one; a shard that is away does.
        """
        homes = [self._shards.home_of(row.payee).place.shard for row in rows]
        asked = [row for row, home in zip(rows, homes, strict=True) if home not in away]
        troubles = dict(zip(asked, await self._bring(shard, asked), strict=True))
        unasked = StoreUnavailable("the payee's shard is away")
        before = len(stuck)
        for row, home in zip(rows, homes, strict=True):
            trouble = troubles.get(row, unasked)
            if trouble is not None:
                stuck[row.log_sequence] = trouble
                away |= {home} if isinstance(trouble, StoreUnavailable | LaneFull) else set()
        if len(stuck) < before + len(rows):
            delivered = Delivered(rows[-1].log_sequence, but=frozenset(stuck))
            await self._shards.shard(shard).submit(delivered)

    async def _bring(self, shard: int, rows: Sequence[OutboxRow]) -> list[Exception | None]:
        outcomes = await self._shards.bring([arrival(shard, *row) for row in rows])
        return [_trouble(row, outcome) for row, outcome in zip(rows, outcomes, strict=True)]


def _trouble(row: OutboxRow, outcome: LogRow | Exception | None) -> Exception | None:
    if isinstance(outcome, RequestIdReused):
        return ArrivalDeclined(f"another payment has arrived under the id of {row}")
    if isinstance(outcome, LogRow) and outcome.decline != ACCEPTED:
        return ArrivalDeclined(f"{row} was declined: {name_of(outcome.decline)}")
    return outcome if isinstance(outcome, Exception) else None


def _why(trouble: Exception) -> str:
    return str(trouble) or type(trouble).__name__
