"""Driving: how many at once, when, what is counted, and what is dropped."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from time import perf_counter

import grpc
import grpc.aio
import pytest

from simulators.load import drive
from simulators.load.drive import Run, closed_loop, open_loop

SEED = 7


class Station:
    """Answers after some time, and counts how many are with it at once."""

    def __init__(self, seconds: float = 0.0, fails_at: int = -1) -> None:
        self._seconds, self._fails_at = seconds, fails_at
        self.now = self.most = 0

    async def __call__(self, work: int) -> bytes:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(self._seconds)
        self.now -= 1
        if work == self._fails_at:
            empty = grpc.aio.Metadata()
            raise grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, empty, empty)
        return b"%d" % work


async def test_a_closed_loop_keeps_so_many_in_flight_and_ends_in_time() -> None:
    """Never more and, with work left, never less; it stops at the deadline."""
    station = Station(seconds=0.01)
    queues = [deque(range(5000)) for _ in range(2)]
    began = perf_counter()
    run = await closed_loop(station, queues, in_flight=8, seconds=0.3)
    assert station.most == 8
    assert 0.3 <= perf_counter() - began < 1.5
    assert run.dropped == 0
    assert len(run.answers) == len(run.begins) == len(run.ends) > 8


async def test_a_closed_loop_ends_when_a_queue_is_empty() -> None:
    """All of that queue's work was answered, and nothing twice."""
    run = await closed_loop(Station(), [deque(range(100))], in_flight=4, seconds=30)
    assert sorted(work for work, _ in run.answers) == list(range(100))
    assert all(answer == b"%d" % work for work, answer in run.answers)


async def test_what_is_not_answered_is_dropped() -> None:
    """A call that fails is counted and kept, so that it can be asked about."""
    run = await closed_loop(Station(fails_at=3), [deque(range(9))], in_flight=2, seconds=30)
    assert run.unanswered == [3]
    assert run.dropped == 1
    assert len(run.answers) == 8


async def test_an_open_loop_does_not_wait_for_answers() -> None:
    """Works begin when they are due, though each takes longer than all arrivals together."""
    station = Station(seconds=0.4)
    run = await open_loop(station, range(50), 500.0, random.Random(SEED))
    assert station.most == 50
    assert len(run.answers) == 50
    assert max(run.begins) - min(run.begins) < 0.4


async def test_latency_counts_from_when_a_call_was_due() -> None:
    """A loop that stands still for 0.2 s makes the calls late that were due meanwhile."""

    async def stall(work: int) -> bytes:
        if work == 0:
            end = perf_counter() + 0.2
            while perf_counter() < end:
                pass
        return b""

    run = await open_loop(stall, range(100), 1000.0, random.Random(SEED))
    late = [latency for latency in run.latencies_ms(0.0) if latency > 20]
    assert len(late) > 40
    assert max(late) >= 195


async def test_a_switch_that_hangs_is_not_flooded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond so many in flight, calls are dropped and counted, not queued."""
    monkeypatch.setattr(drive, "MOST_IN_FLIGHT", 10)
    station = Station(seconds=1.0)
    run = await open_loop(station, range(50), 1000.0, random.Random(SEED))
    assert (station.most, run.never_sent, run.dropped, len(run.answers)) == (10, 40, 40, 10)


def test_the_rate_leaves_out_warm_up_and_the_end() -> None:
    """Ten answers a second; the first second and what came after the last begin do not count."""
    run = Run[int]()
    run.begins = [i / 10 for i in range(31)]
    run.ends = [begin + 0.05 for begin in run.begins]
    run.ends[-1] = 99.0
    assert run.rate(1.0) == pytest.approx(10.0)
    assert Run[int]().rate(1.0) == 0.0


def test_latencies_leave_out_the_warm_up() -> None:
    """Sorted milliseconds of those that began after it."""
    run = Run[int](begins=[0.0, 1.0, 2.0], ends=[0.5, 1.2, 2.1])
    assert run.latencies_ms(0.5) == pytest.approx([100.0, 200.0])
