"""Loops side by side: one that ends or fails ends all, and none is left behind."""

from __future__ import annotations

import asyncio

import pytest

from edge_agents.loops import run_until_one_ends, wait_at_most


class Loop:
    """A loop that lives until it is cancelled."""

    def __init__(self) -> None:
        self.running = asyncio.Event()
        self.ended = False

    async def run(self) -> None:
        try:
            self.running.set()
            await asyncio.Event().wait()
        finally:
            self.ended = True


async def test_the_first_that_ends_ends_all() -> None:
    loop = Loop()
    await asyncio.wait_for(run_until_one_ends(loop.run(), loop.running.wait()), 5)
    assert loop.ended


async def test_a_failure_comes_out() -> None:
    async def fail() -> None:
        raise RuntimeError("broken")

    loop = Loop()
    with pytest.raises(RuntimeError, match="broken"):
        await run_until_one_ends(loop.run(), fail())
    assert loop.ended


async def test_a_cancellation_ends_all() -> None:
    loop = Loop()
    task = asyncio.create_task(run_until_one_ends(loop.run()))
    await loop.running.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert loop.ended


async def test_waiting_ends_by_the_event_or_by_the_clock() -> None:
    event = asyncio.Event()
    assert not await wait_at_most(event, 0.01)
    event.set()
    assert await wait_at_most(event, 0.01)
    assert await wait_at_most(event, None)


async def test_a_cancellation_is_not_lost_even_if_the_event_comes_at_once() -> None:
    """asyncio.wait_for of Python 3.11 loses it."""
    event = asyncio.Event()

    async def wait_twice() -> None:
        await wait_at_most(event, 5)
        await asyncio.Event().wait()

    task = asyncio.create_task(wait_twice())
    await asyncio.sleep(0)
    event.set()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 60)
