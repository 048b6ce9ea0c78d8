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
from typing import Generic, TypeVar

Job = TypeVar("Job")
Answer = TypeVar("Answer")


class LaneFull(Exception):
    """Too many jobs are waiting; nothing was done with this one."""


class LaneClosed(Exception):
    """The lane was closed; nothing was done with this job."""


class Lane(Generic[Job, Answer]):
    """Runs `work` on groups of at most `group_limit` jobs, in order, on a thread of its own.

    `work` returns an answer for each job, in order; an answer that is an exception is raised where
    the job was submitted. If `work` itself raises, every job of the group gets that exception.
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
        self._jobs: queue.SimpleQueue[tuple[Job, asyncio.Future[Answer]] | None] = (
            queue.SimpleQueue()
        )
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> asyncio.Future[Answer]:
        """Queue a job, from a running event loop; LaneFull or LaneClosed if it cannot be taken."""
        if self._closed:
            raise LaneClosed
        if self._jobs.qsize() >= self._waiting_limit:
            raise LaneFull
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._jobs.put((job, future))
        return future

    def close(self, timeout_s: float = 30.0) -> None:
        """Work what has queued up, then end the thread."""
        if not self._closed:
            self._closed = True
            self._jobs.put(None)
        self._thread.join(timeout_s)

    def _run(self) -> None:
        open_ = True
        while open_:
            item = self._jobs.get()
            group = []
            while item is not None:
                group.append(item)
                if len(group) >= self._group_limit:
                    break
                try:
                    item = self._jobs.get_nowait()
                except queue.Empty:
                    break
            open_ = item is not None
            if group:
                self._work_group(group)

    def _work_group(self, group: list[tuple[Job, asyncio.Future[Answer]]]) -> None:
        answers: Sequence[Answer | Exception]
        try:
            answers = self._work([job for job, _ in group])
        except Exception as error:
            answers = [error] * len(group)
        futures = [future for _, future in group]
        loop = futures[0].get_loop()
        if not loop.is_closed():
            loop.call_soon_threadsafe(_resolve, futures, answers)


def _resolve(futures: list[asyncio.Future[Answer]], answers: Sequence[Answer | Exception]) -> None:
    for future, answer in zip(futures, answers, strict=True):
        if future.done():
            continue
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)
