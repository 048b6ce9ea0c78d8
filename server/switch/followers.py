"""Followers: those who are told of their own payments as they are booked (mission rows B2, B5).

Fed by the shards with the log rows of each commit, whoever submitted what they settle; a row that
ends a hold is told as what became of its payment. A follower goes on where it was by a token: a
position in each shard's log, so that what was booked meanwhile is read from the log, also after a
restart. Each row is told at least once, in its shard's order.
Called by `server/rpc/payment_servicer.py`; `on_written` by the shards.
"""

from __future__ import annotations

import asyncio
import struct
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from functools import partial
from typing import NamedTuple

import structlog

from kessai.v1.envelope_pb2 import Signed
from server.domain.command import ACCEPTED, CommandKind
from server.identity.refusals import FieldRefused
from server.shards.lru import LruCache
from server.shards.router import Shards
from server.shards.settlement_log import LogRow
from server.switch.background import Background
from server.switch.outcomes import HOLD_ENDS, PAYMENTS, Asked, Found, Outcomes, asked_in
from server.switch.refused import Overloaded, refusing_store_trouble
from server.switch.turns import Turns

BACK_US = 15 * 60 * 1_000_000
WAITING_LIMIT = 1_000
REFRESH_S = 10.0
# Rows that are read and looked through before others have the event loop; readers of old rows take
# turns.
ROWS_AT_ONCE, CATCHING_UP_AT_ONCE = 100, 2
# Whose payments are on hold, so that their ends need no look-up.
HOLDS_REMEMBERED = 10_000

_VERSION = b"\x01"

# Who asked is None if it could not be looked up: then each stream looks itself.
Written = tuple[int, LogRow, Asked | None]
# The rows of a commit that are told, and the sequence of its last row.
Committed = tuple[Sequence[LogRow], int]

log = structlog.get_logger("followers")


class Told(NamedTuple):
    """A receipt, or none yet, and the token with which to go on after it."""

    receipt: Signed | None
    resume_token: bytes


class Follower:
    """One open stream: what waits for it, in order; `overflowed` if it reads too slowly."""

    def __init__(self) -> None:
        self.waiting: asyncio.Queue[Written] = asyncio.Queue()
        self.overflowed = False

    def put(self, written: Written) -> None:
        """Have a row told; a stream that is far behind is ended instead."""
        self.overflowed = self.overflowed or self.waiting.qsize() >= WAITING_LIMIT
        if not self.overflowed:
            self.waiting.put_nowait(written)


class Followers:
    """All open streams, by the owner of the payments."""

    def __init__(self, shards: Shards, outcomes: Outcomes, now_us: Callable[[], int]) -> None:
        self._shards, self._outcomes, self._now_us = shards, outcomes, now_us
        self._followers: defaultdict[str, set[Follower]] = defaultdict(set)
        self._seen: dict[int, int] = {}
        self._committed: dict[int, asyncio.Queue[Committed]] = {}
        self._background = Background(log)
        self._holds = LruCache[bytes, Asked](HOLDS_REMEMBERED)
        self._turns = Turns(CATCHING_UP_AT_ONCE)
        self._loop: asyncio.AbstractEventLoop | None = None

    def on_written(self, shard: int, rows: Sequence[LogRow]) -> None:
        """Take note of what a shard has committed; on its writing thread."""
        if self._followers and self._loop is not None and not self._loop.is_closed():
            told = [row for row in rows if _is_told(row)]
            self._loop.call_soon_threadsafe(self._tell, shard, told, rows[-1].sequence)

    async def close(self) -> None:
        """Tell nothing more; who resumes is told it by the log."""
        await self._background.close()

    async def follow(self, owner: str, resume_token: bytes) -> AsyncGenerator[Told]:
        """Tell the outcomes of an owner's payments from a token on, or from now on; for ever.

        FieldRefused if the token is none of this switch's; Overloaded if the caller reads too
        slowly; Unavailable.
        """
        self._loop = asyncio.get_running_loop()
        follower = Follower()
        self._followers[owner].add(follower)
        try:
            with refusing_store_trouble():
                positions = await self._positions(resume_token)
                yield Told(None, write_token(positions))
                async for found in self._missed(owner, positions):
                    yield Told(self._outcomes.write(found), write_token(positions))
                async for told in self._live(owner, follower, positions):
                    yield told
        finally:
            self._followers[owner].discard(follower)
            if not self._followers[owner]:
                del self._followers[owner]

    async def _positions(self, resume_token: bytes) -> list[int]:
        tails = await self._shards.last_sequences()
        if not resume_token:
            return tails
        given = read_token(resume_token, len(tails))
        if any(position > tail for position, tail in zip(given, tails, strict=True)):
            raise FieldRefused("resume_token", "is of other books, or of newer ones")
        return given

    async def _missed(self, owner: str, positions: list[int]) -> AsyncIterator[Found]:
        since_us = self._now_us() - BACK_US
        for shard, position in enumerate(positions):
            positions[shard] = max(position, await self._last_before(shard, since_us))
            while rows := await self._page(owner, shard, positions[shard]):
                for row in rows:
                    positions[shard] = row.sequence
                    asked = await self._asked(row) if _is_told(row) else None
                    if asked is not None and owner in asked.parties:
                        yield Found(shard, row, asked)

    async def _page(self, owner: str, shard: int, sequence: int) -> list[LogRow]:
        async with self._turns.turn(owner):
            return await self._rows_after(shard, sequence, ROWS_AT_ONCE)

    async def _live(
        self, owner: str, follower: Follower, positions: list[int]
    ) -> AsyncIterator[Told]:
        while True:
            try:
                async with asyncio.timeout(REFRESH_S):
                    shard, row, known = await follower.waiting.get()
            except TimeoutError:
                if follower.waiting.empty():
                    yield Told(None, write_token(self._refresh(positions)))
                continue
            if follower.overflowed:
                raise Overloaded
            asked = known or await self._asked(row)
            _reach(positions, shard)
            if row.sequence > positions[shard]:
                positions[shard] = row.sequence
                if asked is not None and owner in asked.parties:
                    receipt = self._outcomes.write(Found(shard, row, asked))
                    yield Told(receipt, write_token(positions))

    def _refresh(self, positions: list[int]) -> list[int]:
        # Nothing waits, so all that was written up to what was seen was somebody else's.
        for shard, seen in self._seen.items():
            _reach(positions, shard)
            positions[shard] = max(positions[shard], seen)
        return positions

    async def _last_before(self, shard: int, time_us: int) -> int:
        """Find the last row that was booked before a time; booking times never go back."""
        low, high = 0, (await self._shards.last_sequences())[shard]
        while low < high:
            middle = (low + high + 1) // 2
            rows = await self._rows_after(shard, middle - 1, 1)
            if rows and rows[0].book_us < time_us:
                low = middle
            else:
                high = middle - 1
        return low

    async def _rows_after(self, shard: int, sequence: int, limit: int) -> list[LogRow]:
        kept = self._shards.shard(shard)
        return await kept.read(lambda reader: reader.rows_after(sequence, limit))

    def _tell(self, shard: int, rows: Sequence[LogRow], last: int) -> None:
        if shard not in self._committed:
            committed = self._committed[shard] = asyncio.Queue()
            self._background.keep(
                "payments are not told", partial(self._hand_out, shard, committed), shard=shard
            )
        self._committed[shard].put_nowait((rows, last))

    async def _hand_out(self, shard: int, committed: asyncio.Queue[Committed]) -> None:
        """Hand a commit's rows, in order, to the streams that they concern."""
        rows, last = await committed.get()
        for row in rows:
            for party, asked in await self._concerned(row):
                for follower in self._followers.get(party, ()):
                    follower.put((shard, row, asked))
        self._seen[shard] = last

    async def _concerned(self, row: LogRow) -> list[tuple[str, Asked | None]]:
        try:
            asked = await self._asked(row)
        except Exception:
            # A stream that must look itself, and cannot, ends: who resumes is told it.
            return [(party, None) for party in self._followers]
        return [(party, asked) for party in asked.parties] if asked is not None else []

    def _known(self, row: LogRow) -> Asked | None:
        if row.kind in HOLD_ENDS:
            return self._holds.get(row.body)
        asked = asked_in(row)
        if asked is not None and row.kind == CommandKind.PLACE_HOLD:
            self._holds.put(row.request_id, asked)
        return asked

    async def _asked(self, row: LogRow) -> Asked | None:
        asked = self._known(row) or await self._outcomes.asked(row)
        if asked is not None and row.kind in HOLD_ENDS:
            self._holds.put(row.body, asked)
        return asked


def write_token(positions: Sequence[int]) -> bytes:
    """Write positions, a log sequence a shard, as a token."""
    return _VERSION + struct.pack(f">{len(positions)}Q", *positions)


def read_token(token: bytes, shards: int) -> list[int]:
    """Read a token; FieldRefused if it is none for so many shards, or fewer.

    Shards that were added since it was given had nothing in their logs then.
    """
    count, rest = divmod(len(token) - 1, 8)
    if token[:1] != _VERSION or rest or not 0 < count <= shards:
        raise FieldRefused("resume_token", "is not one that this switch gave")
    return [*struct.unpack(f">{count}Q", token[1:]), *(0,) * (shards - count)]


def _is_told(row: LogRow) -> bool:
    """Whether a row is a payment, or ended the hold of one."""
    return row.kind in PAYMENTS or (row.kind in HOLD_ENDS and row.decline == ACCEPTED)


def _reach(positions: list[int], shard: int) -> None:
    # A shard that was added while somebody follows had nothing in its log before.
    positions += [0] * (shard + 1 - len(positions))
