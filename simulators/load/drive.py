"""Driving a switch: so many calls in flight for some time, or calls at scheduled moments.

Closed loop measures throughput: each worker sends its next call when the last was answered. Open
loop measures latency: calls begin when they are due, however slow the answers are, and latency
counts from that moment, so that a switch that stalls cannot hide it. Every call that is not
answered is dropped and counted. Used by `wire.py`.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from math import ceil
from time import perf_counter
from typing import Generic, TypeVar

import grpc.aio

from kessai.complaint import Complaint

CALL_LIMIT_S = 5.0
MOST_IN_FLIGHT = 1024

Work = TypeVar("Work")
Call = Callable[[Work], Awaitable[bytes]]


@dataclass(slots=True)
class Run(Generic[Work]):
    """What was answered, with seconds on the `perf_counter` clock: since when it was due, till."""

    answers: list[tuple[Work, bytes]] = field(default_factory=list)
    begins: list[float] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)
    unanswered: list[Work] = field(default_factory=list)
    never_sent: int = 0
    started: float = 0.0

    @property
    def dropped(self) -> int:
        """Calls that failed, took longer than CALL_LIMIT_S, or could not even be sent."""
        return len(self.unanswered) + self.never_sent

    def latencies_ms(self, warm_up_s: float) -> list[float]:
        """Milliseconds of each answer after the warm-up, sorted."""
        first = min(self.begins, default=0.0) + warm_up_s
        pairs = zip(self.begins, self.ends, strict=True)
        return sorted((end - begin) * 1000 for begin, end in pairs if begin >= first)


def rate(*runs: Run[Work]) -> float:
    """Answers a second of runs side by side, from the first start to the last answer.

    Complaint if there was no answer at all.
    """
    ends = [end for run in runs for end in run.ends]
    if not ends:
        raise Complaint("nothing was answered in time: measure longer, with --seconds.")
    return len(ends) / (max(ends) - min(run.started for run in runs))


async def closed_loop(
    call: Call[Work], queues: Sequence[deque[Work]], in_flight: int, seconds: float
) -> Run[Work]:
    """Keep calls in flight, spread over the queues, for some seconds or until one is empty."""
    run = Run[Work](started=perf_counter())
    deadline = run.started + seconds
    stopped = False

    async def work(queue: deque[Work]) -> None:
        nonlocal stopped
        while queue and not stopped:
            await _send(call, queue.popleft(), perf_counter(), run)
            stopped = stopped or not queue or perf_counter() >= deadline

    await asyncio.gather(*(work(queues[i % len(queues)]) for i in range(in_flight)))
    return run


async def open_loop(
    call: Call[Work], works: Iterable[Work], per_second: float, dice: random.Random
) -> Run[Work]:
    """Send every work when it is due; arrivals are a Poisson process of a given rate."""
    run = Run[Work]()
    tasks: set[asyncio.Task[None]] = set()
    due = perf_counter()
    for work in works:
        due += dice.expovariate(per_second)
        wait_s = due - perf_counter()
        if wait_s > 0:
            # uvloop's timers tick in milliseconds: rather late, which is latency, than early.
            await asyncio.sleep(ceil(wait_s * 1000) / 1000)
        if len(tasks) >= MOST_IN_FLIGHT:
            run.never_sent += 1
            continue
        task = asyncio.create_task(_send(call, work, due, run))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
    return run


async def _send(call: Call[Work], work: Work, begin: float, run: Run[Work]) -> None:
    try:
        answer = await call(work)
    except grpc.aio.AioRpcError:
        run.unanswered.append(work)
        return
    run.answers.append((work, answer))
    run.begins.append(begin)
    run.ends.append(perf_counter())
