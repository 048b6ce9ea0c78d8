"""The loops of an agent: running them side by side, and waiting within one.

Used by `main`, by the till, and by everything that has a loop of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any


async def run_until_one_ends(*loops: Coroutine[Any, Any, object]) -> None:
    """Run loops together; when one ends, or this is cancelled, all are ended before it returns.

    The error of a loop that failed is raised.
    """
    tasks = [asyncio.create_task(loop) for loop in loops]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def is_being_cancelled() -> bool:
    """Tell whether a CancelledError is meant for this task.

    If not, it is of a gRPC call whose line was exchanged for another one, as after a renewal: gRPC
    raises the same.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def wait_at_most(event: asyncio.Event, timeout_s: float | None) -> bool:
    """Wait for an event; False if it did not come in time. A cancellation is never lost in it."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            return await event.wait()
    return False
