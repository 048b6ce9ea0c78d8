"""Background work: what goes on by itself as long as the switch does, whatever happens in it.

Work is a turn that is taken again and again. A turn that fails is told in one line, and taken again
after a pause that grows; nothing but `close` ends it. It may always go on, because what it does is
decided and made durable in the shards, once for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from structlog.typing import FilteringBoundLogger

from server.shards.clock_watch import ClockJumped
from server.shards.lane import LaneClosed, LaneFull
from server.shards.store import StoreUnavailable

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 4.0


class Waiting(Exception):
    """Part of the work of a turn could not be done yet; the message says what, and why."""


_FORESEEN = (Waiting, StoreUnavailable, LaneFull, LaneClosed)


class Background:
    """Keeps work going until closed. `log` is told of what fails, under the words of the work."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        self._log = log
        self._tasks: list[asyncio.Task[None]] = []

    def keep(self, trouble: str, turn: Callable[[], Awaitable[object]], **where: int) -> None:
        """Take a turn again and again, in the running event loop; `trouble` is said if it fails."""
        self._tasks.append(asyncio.create_task(self._keep(trouble, turn, where)))

    async def close(self) -> None:
        """End all work where it is."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _keep(
        self, trouble: str, turn: Callable[[], Awaitable[object]], where: dict[str, int]
    ) -> None:
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                await turn()
                pause_s = _FIRST_PAUSE_S
                continue
            except asyncio.CancelledError as error:
                if _is_cancelled():
                    raise
                failure: BaseException = error  # of something that the turn waited for
            except Exception as error:
                failure = error
            is_news = pause_s == _FIRST_PAUSE_S and not isinstance(failure, _FORESEEN)
            why = str(failure) or type(failure).__name__
            if not isinstance(failure, ClockJumped):  # the clock's watch has told it, once
                self._log.warning(trouble, **where, why=why, exc_info=failure if is_news else None)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
