"""Turns: who waits for a bounded resource is served in turn by whom it is for, not by when it came.

So two thousand pieces of one caller do not stand before another's one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """At most so many pieces at once; used from one event loop."""

    def __init__(self, at_once: int) -> None:
        self._free = at_once
        self._at_once = at_once
        # In the order of their next turns; the pieces of each in the order in which they came.
        self._waiting: dict[str, deque[tuple[int, asyncio.Future[None]]]] = {}

    @asynccontextmanager
    async def turn(self, owner: str, pieces: int = 1) -> AsyncIterator[None]:
        """Wait for a turn of an owner's, and have it; more pieces than fit count as what fits."""
        pieces = min(pieces, self._at_once)
        if self._waiting or self._free < pieces:
            await self._wait(owner, pieces)
        else:
            self._free -= pieces
        try:
            yield
        finally:
            self._give_back(pieces)

    async def _wait(self, owner: str, pieces: int) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(owner, deque()).append((pieces, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._give_back(pieces)
            else:
                self._grant()  # who waited behind may fit now
            raise

    def _give_back(self, pieces: int) -> None:
        self._free += pieces
        self._grant()

    def _grant(self) -> None:
        while self._waiting:
            owner = next(iter(self._waiting))
            own = self._waiting[owner]
            pieces, turn = own[0]
            if turn.cancelled():
                own.popleft()
            elif pieces <= self._free:
                own.popleft()
                self._free -= pieces
                turn.set_result(None)
            else:
                return
            del self._waiting[owner]
            if own:
                self._waiting[owner] = own
