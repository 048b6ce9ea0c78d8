"""Background work goes on, whatever a turn raises, until it is closed."""

from __future__ import annotations

import asyncio
from itertools import count

import pytest
import structlog

from server.switch import background as module
from server.switch.background import Background, Waiting


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pause for moments only."""
    monkeypatch.setattr(module, "_FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(module, "_LONGEST_PAUSE_S", 0.004)


async def test_what_a_turn_raises_is_told_and_the_next_is_taken() -> None:
    """Also a cancellation that is not its own, as of a future that it waits for."""
    raised: list[BaseException] = [
        Waiting("two of them"), ValueError(), OSError("full"), asyncio.CancelledError(),
    ]  # fmt: skip
    turns, done = count(), asyncio.Event()

    async def turn() -> None:
        number = next(turns)
        if number < len(raised):
            raise raised[number]
        done.set()
        await asyncio.sleep(3600)

    with structlog.testing.capture_logs() as logs:
        background = Background(structlog.get_logger())
        background.keep("work waits", turn, shard=3)
        async with asyncio.timeout(60):
            await done.wait()
        await background.close()
    assert [(line["event"], line["shard"]) for line in logs] == [("work waits", 3)] * 4
    whys = [line["why"] for line in logs]
    assert whys == ["two of them", "ValueError", "full", "CancelledError"]
    assert [bool(line["exc_info"]) for line in logs][:2] == [False, False]


async def test_the_first_of_a_fault_of_ours_comes_with_its_traceback() -> None:
    failed = asyncio.Event()

    async def turn() -> None:
        failed.set()
        raise KeyError("what")

    with structlog.testing.capture_logs() as logs:
        background = Background(structlog.get_logger())
        background.keep("work waits", turn)
        async with asyncio.timeout(60):
            await failed.wait()
            while len(logs) < 3:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        await background.close()
    assert [bool(line["exc_info"]) for line in logs][:3] == [True, False, False]


async def test_closing_ends_it_in_the_middle_of_a_turn() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def turn() -> None:
        begun.set()
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()

    background = Background(structlog.get_logger())
    background.keep("work waits", turn)
    async with asyncio.timeout(60):
        await begun.wait()
        await background.close()
    assert ended.is_set()
