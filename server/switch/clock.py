"""The clock as operators see it, and their word that it is right.

A step of the clock stops booking (`server/shards/clock_watch.py`). The watch looks whenever
something is booked; here it also looks once a second, so that an idle switch tells of it, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from server.identity.refusals import FieldRefused
from server.shards.clock_watch import ClockWatch, span
from server.shards.router import Shards
from server.switch.background import Background
from server.switch.refused import refusing_store_trouble

_EVERY_S = 1.0

log = structlog.get_logger("clock")


@dataclass(frozen=True, slots=True)
class ClockState:
    """The wall clock, by how much it jumped (0: booking goes on), and each shard's booking time.

    Microseconds, since 1970 but for the jump; a booking time of 0: nothing was booked yet.
    """

    wall_us: int
    jump_us: int
    book_us: Sequence[int]


class SwitchClock:
    """Watches, tells, and takes an operator's word."""

    def __init__(self, watch: ClockWatch, shards: Shards) -> None:
        self._watch, self._shards = watch, shards
        self._confirmed = b""
        self._background = Background(log)

    async def start(self) -> None:
        """Begin to look, and tell once if books are ahead of the clock, as after a wrong one."""
        state = await self.state()
        ahead_us = max(state.book_us) - state.wall_us
        if ahead_us > self._watch.limit_us:
            log.error(
                f"the books are {span(ahead_us)} ahead of the switch's clock, as after a clock "
                "that ran ahead. If the clock is right now all is well, and booking goes on. If "
                "it is wrong, stop the switch and put it right first"
            )
        self._background.keep("the clock is not watched", self._look)

    async def close(self) -> None:
        """Stop looking."""
        await self._background.close()

    async def state(self) -> ClockState:
        """How the clock stands; raises Unavailable, Overloaded."""
        wall_us, jump_us = self._watch.look()
        with refusing_store_trouble():
            return ClockState(wall_us, jump_us, await self._shards.last_book_times())

    async def confirm(self, request_id: bytes, wall_us: int) -> ClockState:
        """Book by the clock as it is, if it shows what the operator saw; how it stands then.

        Again under the same id: no change. FieldRefused if it shows another time.
        """
        if request_id != self._confirmed:
            if not self._watch.confirm(wall_us):
                raise FieldRefused(
                    "wall_time", "this is not what the switch's clock shows now; look again"
                )
            self._confirmed = request_id
        return await self.state()

    async def _look(self) -> None:
        await asyncio.sleep(_EVERY_S)
        self._watch.look()
