"""The turnstile against a simulated board: who passed, and a board that forgets it."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Iterator

import pytest

from edge_agents.devices.barrier import Barrier, CounterRestarted
from edge_agents.events import Events
from edge_agents.gate.turnstile import Turnstile
from simulators.devices.barrier import SimulatedBarrier

LIMIT_S = 20.0


@pytest.fixture
def told() -> io.StringIO:
    """What is told to a follower."""
    return io.StringIO()


@pytest.fixture
def turnstile(board: SimulatedBarrier, told: io.StringIO) -> Iterator[Turnstile]:
    barrier = Barrier(str(board.line.path))
    barrier.open()
    yield Turnstile(barrier, LIMIT_S, Events(lambda: 0, told))
    barrier.close()


def names(told: io.StringIO) -> list[str]:
    return [json.loads(line)["event"] for line in told.getvalue().splitlines()]


async def test_a_board_that_restarts_while_nobody_is_let_through(
    board: SimulatedBarrier, turnstile: Turnstile, told: io.StringIO
) -> None:
    """It is told, once; nobody forced their way, least of all 65,436 persons."""
    board.restart(100)
    assert await turnstile.can_open()
    board.restart()
    assert await turnstile.can_open()
    assert await turnstile.can_open()
    assert names(told) == ["counter_restarted"]
    board.climb_over()
    assert await turnstile.can_open()
    assert json.loads(told.getvalue().splitlines()[-1])["persons"] == 1


async def test_a_board_that_restarts_while_a_person_walks(
    board: SimulatedBarrier, turnstile: Turnstile, told: io.StringIO
) -> None:
    """Nobody knows whether she is through; the next one is counted as ever."""
    board.restart(100)
    assert await turnstile.can_open()
    await turnstile.release()
    board.restart()
    with pytest.raises(CounterRestarted, match="100 had passed, now it says 0"):
        await turnstile.wait_for_person()
    assert names(told) == ["counter_restarted"]
    await turnstile.release()
    walking = asyncio.create_task(turnstile.wait_for_person())
    board.walk_through()
    assert await walking == 1
    assert not board.is_open
