"""A shard that a process of its own writes, so that books and wire each have a core.

The lane of a process queues jobs here, brings them over in groups, and waits for their answers, as
a lane of this process waits for the disk. Reads are looked up here: readers see what is committed,
whoever wrote it. Used by `router.py`; the other end is `writer_process.py`.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any, NoReturn, TypeVar, overload

from kessai.last_words import end_process
from server.domain.command import Command
from server.shards import writer_process
from server.shards.address import ShardAddress
from server.shards.groups import GROUP_LIMIT
from server.shards.jobs import Answer, Delivered, Job, Outcome, Several, Sought, Tied
from server.shards.lane import Lane
from server.shards.placement import ShardPlace, SlotMap
from server.shards.process_log import log_level
from server.shards.reading import Reading
from server.shards.relocate import Copied, Depart, Swept
from server.shards.settlement_log import LogRow
from server.shards.shard import OnWritten, Shard
from server.shards.store import Reader
from server.shards.writer_process import Group, Open, Written

EXIT_WRITER_LOST = 70

# structlog loads rich for a terminal's colours, a third of all that the process would load.
_PROGRAM = (
    "import sys; sys.modules['rich'] = None; "
    f"from {writer_process.__name__} import main; main({{}}, {{}})"
)
_ANSWER_LIMIT_S = 120.0
_STOP_LIMIT_S = 30.0

Found = TypeVar("Found")


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """What is started within never hears SIGINT: Ctrl-C is for the switch, which ends it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class WriterProcess:
    """A process that writes shards, and the lane that leads to it.

    `held` are descriptors that it keeps open as long as it lives: the lock of the data folder, so
    that nobody else begins to write before it has ended. The other arguments are as for a shard
    that is written here; the time of a group is that at which it is brought over.
    """

    def __init__(
        self,
        name: str,
        now_us: Callable[[], int],
        on_owed: Callable[[int], None],
        on_written: OnWritten,
        held: Sequence[int] = (),
    ) -> None:
        self._now_us, self._on_owed, self._on_written = now_us, on_owed, on_written
        here, there = socket.socketpair()
        with there, _deaf_to_ctrl_c():
            self._process = subprocess.Popen(
                [sys.executable, "-c", _PROGRAM.format(there.fileno(), log_level())],
                pass_fds=(there.fileno(), *held),
                stdin=subprocess.DEVNULL,
            )
        self._line = Connection(here.detach())
        self._asking, self._ending = threading.Lock(), threading.Lock()
        self._lane = Lane[tuple[int, Job], Answer](name, self._write, GROUP_LIMIT)
        self._closed = False
        threading.Thread(target=self._watch, name=f"{name}-watch", daemon=True).start()

    def open(self, address: ShardAddress, slots: SlotMap) -> None:
        """Let it open a shard, between two groups; Complaint if the shard cannot be opened."""
        answer = self._ask(pickle.dumps(Open(address, slots)))
        if isinstance(answer, Exception):
            raise answer

    def submit(self, shard: int, job: Job) -> asyncio.Future[Any]:
        """Queue a job for a shard."""
        return self._lane.submit((shard, job))

    def drain(self) -> None:
        """Work what has queued up, and take nothing more."""
        self._lane.close()

    def close(self) -> None:
        """Work what has queued up, and wait until the process has closed its shards and ended."""
        if self._closed:
            return
        self._closed = True
        self._lane.close()
        self._line.close()
        try:
            self._process.wait(_STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _write(self, group: Sequence[tuple[int, Job]]) -> Sequence[Answer | Exception]:
        try:
            message = pickle.dumps(Group(self._now_us(), group))
        except Exception as error:  # of one of the jobs, which must not be in the others' way
            half = len(group) // 2
            return [*self._write(group[:half]), *self._write(group[half:])] if half else [error]
        written: Written | Exception = self._ask(message)
        if isinstance(written, Exception):
            raise written
        for shard in written.owing:
            self._on_owed(shard)
        for shard, rows in written.rows:
            self._on_written(shard, rows)
        return written.answers

    def _ask(self, message: bytes) -> Any:  # noqa: ANN401
        try:
            with self._asking:
                self._line.send_bytes(message)
                if self._line.poll(_ANSWER_LIMIT_S):
                    return self._line.recv()
        except (EOFError, OSError):
            self._lost(f"ended ({self._process.wait()})")
        self._lost(f"has not answered for {_ANSWER_LIMIT_S:.0f} s")

    def _watch(self) -> None:
        # Else an idle switch that lost it would find out at a customer's payment.
        code = self._process.wait()
        if not self._closed:
            self._lost(f"ended ({code})")

    def _lost(self, what: str) -> NoReturn:
        self._ending.acquire()  # for ever: only one thread says it
        # It has said why itself if the disk failed.
        code = self._process.poll()
        self._process.kill()
        if code == writer_process.EXIT_DISK_FAILED:
            os._exit(code)
        end_process(
            f"the process that writes the shards {what}. The switch stops, so that nothing is "
            "acknowledged that is not on the disk. Nothing acknowledged is lost: start it again.",
            EXIT_WRITER_LOST,
        )


class RemoteShard:
    """One of the shards of a `WriterProcess`; as a `Shard`, but written there."""

    def __init__(self, place: ShardPlace, writing: WriterProcess, reader: Reader) -> None:
        self.place = place
        self._writing = writing
        self._reading = Reading(place.shard, reader)

    @overload
    def submit(self, job: Command | Sought) -> asyncio.Future[LogRow]: ...
    @overload
    def submit(self, job: Several) -> asyncio.Future[tuple[Outcome, ...]]: ...
    @overload
    def submit(self, job: Delivered | Tied | Copied | Swept) -> asyncio.Future[None]: ...
    @overload
    def submit(self, job: Depart) -> asyncio.Future[LogRow]: ...

    def submit(self, job: Job) -> asyncio.Future[Any]:
        """Queue a job, as `Shard.submit` does."""
        return self._writing.submit(self.place.shard, job)

    async def read(self, look: Callable[[Reader], Found]) -> Found:
        """Look into what is committed; StoreUnavailable if the database cannot."""
        return await self._reading.read(look)

    def drain(self) -> None:
        """Work what has queued up, and end reading; then only its writer has the database open."""
        self._writing.drain()
        self._reading.close()

    def close(self) -> None:
        """Drain; the process ends with the first of its shards that is closed."""
        self.drain()
        self._writing.close()


AnyShard = Shard | RemoteShard
