"""Driving: how many at once, when, what is counted, and what is dropped."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Iterator
from time import perf_counter

import grpc
import grpc.aio
import pytest

from kessai.complaint import Complaint
from simulators.load import drive
from simulators.load.drive import Run, closed_loop, open_loop, rate

SEED = 7
LIMIT_S = 60.0


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


def works(count: int, all_taken: asyncio.Event) -> Iterator[int]:
    """Give so many works, and tell when they are all taken."""
    yield from range(count)
    all_taken.set()


async def test_a_closed_loop_keeps_so_many_in_flight_and_ends_in_time() -> None:
    """Never more and, with work left, never less; it stops at the deadline."""
    station = Station(seconds=0.01)
    queues = [deque(range(5000)) for _ in range(2)]
    began = perf_counter()
    run = await closed_loop(station, queues, in_flight=8, seconds=0.3)
    assert station.most == 8
    assert perf_counter() - began >= 0.3
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
    """All works begin, though none is answered before the last of them was sent."""
    sent = asyncio.Event()

    async def answer(work: int) -> bytes:
        async with asyncio.timeout(LIMIT_S):
            await sent.wait()
        return b""

    run = await open_loop(answer, works(50, sent), 500.0, random.Random(SEED))
    assert len(run.answers) == 50


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
    offered = asyncio.Event()

    async def hang(work: int) -> bytes:
        async with asyncio.timeout(LIMIT_S):
            await offered.wait()
        return b""

    run = await open_loop(hang, works(50, offered), 1000.0, random.Random(SEED))
    assert (run.never_sent, run.dropped, len(run.answers)) == (40, 40, 10)


def test_the_rate_counts_all_answers_over_all_the_time() -> None:
    """Of runs side by side, from the first start to the last answer."""
    run = Run[int](ends=[1.5, 2.0, 3.0], started=1.0)
    assert rate(run) == pytest.approx(1.5)
    other = Run[int](ends=[4.0], started=0.0)
    assert rate(run, other, Run[int](started=2.0)) == pytest.approx(1.0)


def test_a_rate_of_nothing_is_a_complaint() -> None:
    """No figure is better than a zero that others are divided by."""
    with pytest.raises(Complaint, match="nothing was answered in time"):
        rate(Run[int]())


async def test_a_closed_loop_does_something_however_late_it_is() -> None:
    """Each worker sends once at least: a machine may stand still for longer than the seconds."""
    run = await closed_loop(Station(), [deque(range(9))], in_flight=4, seconds=-1.0)
    assert len(run.answers) == 4
    assert rate(run) > 0


def test_latencies_leave_out_the_warm_up() -> None:
    """Sorted milliseconds of those that began after it."""
    run = Run[int](begins=[0.0, 1.0, 2.0], ends=[0.5, 1.2, 2.1])
    assert run.latencies_ms(0.5) == pytest.approx([100.0, 200.0])
