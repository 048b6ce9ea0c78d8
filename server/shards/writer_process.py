"""The process that writes shards for a switch.

Started by `remote_shard.py`, which is at the other end of a socket. It works one group after
another and ends with its switch: when the socket is closed, whatever signal a terminal or a service
manager sends to both. What it was writing then is whole or absent, like after any crash.
"""

from __future__ import annotations

import gc
import pickle
import signal
from collections.abc import Sequence
from contextlib import ExitStack
from multiprocessing.connection import Connection
from typing import NamedTuple

from kessai.complaint import Complaint
from kessai.log_stream import guard_stderr
from server.shards.address import ShardAddress
from server.shards.groups import write_group
from server.shards.jobs import Answer, Job
from server.shards.placement import ShardPlace, SlotMap
from server.shards.process_log import set_up_log
from server.shards.settlement_log import LogRow
from server.shards.shard import ShardWriter
from server.shards.sqlite_store import EXIT_DISK_FAILED as EXIT_DISK_FAILED

# What a group makes is freed as it is used up; to look for circles in it costs more than it wins.
_RARE_COLLECTIONS = (100_000, 20, 50)


class Open(NamedTuple):
    """Open a shard; None or a Complaint comes back."""

    address: ShardAddress
    slots: SlotMap


class Group(NamedTuple):
    """Work jobs, each of a shard by its number, at a time; `Written` comes back."""

    now_us: int
    jobs: Sequence[tuple[int, Job]]


class Written(NamedTuple):
    """An answer for each job, in order.

    And the shards that owe money to others since, and the log rows that each shard has written but
    for arrivals.
    """

    answers: Sequence[Answer | Exception]
    owing: Sequence[int]
    rows: Sequence[tuple[int, Sequence[LogRow]]]


class WriterHost:
    """The shards that this process writes."""

    def __init__(self) -> None:
        self._writers: dict[int, ShardWriter] = {}
        self._owing: list[int] = []
        self._rows: list[tuple[int, Sequence[LogRow]]] = []
        self._now_us = 0

    def answer(self, message: Open | Group) -> Written | Exception | None:
        """Do what the switch asks for; an exception is one of the whole message."""
        try:
            return self._write(message) if isinstance(message, Group) else self._open(message)
        except Exception as error:
            return _portable(error)

    def close(self) -> None:
        """Close all shards, whatever fails in another."""
        with ExitStack() as steps:
            for writer in self._writers.values():
                steps.callback(writer.close)

    def _open(self, message: Open) -> Complaint | None:
        place = ShardPlace(message.address.shard, message.slots)
        if (former := self._writers.pop(place.shard, None)) is not None:
            former.close()  # the switch could not use it, and tries again
        try:
            store = message.address.open_store()
        except Complaint as complaint:
            return complaint
        writer = ShardWriter(
            place, store, lambda: self._now_us, self._owing.append, self._on_written
        )
        self._writers[place.shard] = writer
        return None

    def _write(self, message: Group) -> Written:
        self._now_us = message.now_us
        self._owing.clear()
        self._rows.clear()
        written = write_group([(self._writers[shard], job) for shard, job in message.jobs])
        answers = [_portable(a) if isinstance(a, Exception) else a for a in written]
        return Written(answers, self._owing, self._rows)

    def _on_written(self, shard: int, rows: Sequence[LogRow]) -> None:
        self._rows.append((shard, rows))


def _portable(error: Exception) -> Exception:
    """An error as it can be brought over: itself, or what it says if it cannot be."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301  # what it came from is here
    except Exception:
        return RuntimeError(repr(error))
    return error


def main(descriptor: int, level: int) -> None:
    """Serve the socket `descriptor` until its other end is closed; `level` is of the log."""
    set_up_log(level, guard_stderr())
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    gc.freeze()
    gc.set_threshold(*_RARE_COLLECTIONS)
    host = WriterHost()
    with Connection(descriptor) as line:
        try:
            while True:
                line.send(host.answer(line.recv()))
        except (EOFError, OSError):
            pass  # the switch has ended
        finally:
            host.close()
