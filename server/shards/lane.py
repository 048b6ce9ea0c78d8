"""A lane: one thread that works whatever has queued up as one group, and answers all at once.

Groups fill by themselves while the thread is busy; an idle lane works a single job at once and
waits for no timer. Each shard's writer is a lane, so are each shard's reads and the verification
of signatures.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

Job = TypeVar("Job")
Answer = TypeVar("Answer")


class LaneFull(Exception):
    """Too many jobs are waiting; nothing was done with this one."""


class LaneClosed(Exception):
    """The lane was closed; nothing was done with this job."""


@dataclass(frozen=True, slots=True)
class _HandOver(Generic[Job]):
    """Jobs that were handed over together, and the future of their answer or answers."""

    jobs: Sequence[Job]
    future: asyncio.Future[Any]
    together: bool


class Lane(Generic[Job, Answer]):
    """Runs `work` on groups of jobs, in order, on a thread of its own.

    A group takes no further hand-over once it has `group_limit` jobs. `work` returns an answer for
    each job, in order; an answer that is an exception is raised where the job was submitted. If
    `work` itself raises, every job of the group gets that exception.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[list[Job]], Sequence[Answer | Exception]],
        group_limit: int = 512,
        waiting_limit: int = 20_000,
    ) -> None:
        self._work = work
        self._group_limit = group_limit
        self._waiting_limit = waiting_limit
        self._queue: queue.SimpleQueue[_HandOver[Job] | None] = queue.SimpleQueue()
        self._submitted = 0  # counted by the event loop
        self._taken = 0  # counted by the lane's thread
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> asyncio.Future[Answer]:
        """Queue a job, from a running event loop; LaneFull or LaneClosed if it cannot be taken."""
        return self._hand_over((job,), together=False)

    def submit_all(self, jobs: Sequence[Job]) -> asyncio.Future[Sequence[Answer | Exception]]:
        """Queue jobs with one hand-over; their answers come together, exceptions among them.

        LaneFull or LaneClosed if they cannot be taken; then none of them was.
        """
        return self._hand_over(jobs, together=True)

    def close(self, timeout_s: float = 30.0) -> None:
        """Work what has queued up, then end the thread."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
        self._thread.join(timeout_s)

    def _hand_over(self, jobs: Sequence[Job], *, together: bool) -> asyncio.Future[Any]:
        if self._closed:
            raise LaneClosed
        if self._submitted - self._taken + len(jobs) > self._waiting_limit:
            raise LaneFull
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._submitted += len(jobs)
        self._queue.put(_HandOver(jobs, future, together))
        return future

    def _run(self) -> None:
        open_ = True
        while open_:
            item = self._queue.get()
            group: list[_HandOver[Job]] = []
            jobs: list[Job] = []
            while item is not None:
                group.append(item)
                jobs += item.jobs
                if len(jobs) >= self._group_limit:
                    break
                try:
                    item = self._queue.get_nowait()
                except queue.Empty:
                    break
            open_ = item is not None
            self._taken += len(jobs)
            if group:
                self._work_group(group, jobs)

    def _work_group(self, group: list[_HandOver[Job]], jobs: list[Job]) -> None:
        answers: Sequence[Answer | Exception]
        try:
            answers = self._work(jobs)
        except Exception as error:
            answers = [error] * len(jobs)
        loop = group[0].future.get_loop()
        if not loop.is_closed():
            loop.call_soon_threadsafe(_resolve, group, answers)


def _resolve(group: list[_HandOver[Job]], answers: Sequence[Answer | Exception]) -> None:
    first = 0
    for jobs, future, together in ((item.jobs, item.future, item.together) for item in group):
        own = answers[first : first + len(jobs)]
        first += len(jobs)
        if future.done():
            continue
        if together:
            future.set_result(own)
        elif isinstance(own[0], Exception):
            future.set_exception(own[0])
        else:
            future.set_result(own[0])
