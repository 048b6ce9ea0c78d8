"""Ties between the stores: checked at every start, and noted anew while the switch works.

So an old shard under newer others, or an old directory, does not serve. Started and ended by
`server/bootstrap.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import structlog

from kessai.complaint import Complaint
from server.shards.jobs import Tied
from server.shards.lane import LaneClosed, LaneFull
from server.shards.router import Shards
from server.shards.store import StoreUnavailable
from server.shards.tie_book import Place, TieBook
from server.shards.ties import head_of, standing_of, tie_faults
from server.switch.background import Background

EVERY_S = 60.0

log = structlog.get_logger("ties")


class Ties:
    """Keeps the stores tied."""

    def __init__(self, shards: Shards, book: TieBook, now_us: Callable[[], int]) -> None:
        self._shards, self._book, self._now_us = shards, book, now_us
        self._noted: dict[int, Place] = {}
        self._background, self._wanted = Background(log), asyncio.Event()
        self._holds = False

    async def check(self) -> None:
        """Complaint if one of the stores is an older copy than the others, or another's."""
        places = await asyncio.to_thread(self._book.places)
        standings = []
        for number in range(len(self._shards)):
            known = places.get(number)
            look = self._shards.shard(number).read(
                lambda reader, known=known: standing_of(reader, known)  # type: ignore[misc]
            )
            standings.append(await look)
        if faults := list(tie_faults(self._book.number(), places, standings)):
            raise Complaint(
                f"{'; '.join(faults)}. No money was moved, and nothing is served. Bring back all "
                "stores of one moment (kessai restore). If this is the newest that there is: "
                "kessai restore --accept-loss --data FOLDER"
            )
        self._holds = True

    def start(self) -> None:
        """Note places from now on, in the running event loop."""
        self._background.keep("stores are not tied", self._turn)

    def wake(self) -> None:
        """Note places soon: there is a further shard."""
        self._wanted.set()

    async def close(self) -> None:
        """Note the last places, once nothing more is booked; the next start makes good."""
        await self._background.close()
        if self._holds:
            with suppress(StoreUnavailable):
                await self.note()

    async def note(self) -> None:
        """Note the newest places, if a shard has others than before; a shard that is away waits."""
        heads, now_us = dict[int, Place](), self._now_us()
        for number in range(len(self._shards)):
            with suppress(StoreUnavailable):
                shard = self._shards.shard(number)
                heads[number] = await shard.read(lambda reader: head_of(reader, now_us))
        if {n: head[:2] for n, head in heads.items()} == {
            n: head[:2] for n, head in self._noted.items()
        }:
            return
        # The directory first: a shard never knows of a tie that the directory does not.
        tie = await asyncio.to_thread(self._book.note, heads)
        for number in heads:
            with suppress(StoreUnavailable, LaneFull, LaneClosed):
                await self._shards.shard(number).submit(Tied(tie))
        self._noted = heads

    async def _turn(self) -> None:
        self._wanted.clear()
        await self.note()
        with suppress(TimeoutError):
            async with asyncio.timeout(EVERY_S):
                await self._wanted.wait()
