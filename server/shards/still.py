"""Shard files held still, for a copy of all of them at one moment.

While `held_still` lasts nobody can commit in any of the files: their writers wait for SQLite's own
lock, which ends with the process that has it. A snapshot that was opened meanwhile stays what it
was for as long as it is read, so nobody waits while it is copied.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import apsw

from kessai.complaint import Complaint
from server.shards.address import SqliteAddress
from server.shards.checked_file import PASSING_FAULTS, connect
from server.shards.clean_close import close_cleanly
from server.shards.schema import open_shard
from server.shards.sqlite_reader import SqliteReader
from server.shards.store import StoreUnavailable

# A writer waits five seconds for a lock, and then refuses its payments: so long it takes at most to
# hold all still, and so long whoever holds them may ask the switch for something.
_TAKE_LIMIT_S, HOLD_LIMIT_S = 1.5, 3.0

_LOOK_S = 0.001
_PAGES_AT_ONCE = 2000


class Snapshot(SqliteReader):
    """A shard as it is when this is opened, for as long as it is open."""

    def __init__(self, at: SqliteAddress) -> None:
        super().__init__(at.path, at.shard, at.books_id)
        self.snapshot()

    def copy_to(self, target: Path) -> None:
        """Write it into a new file, which is whole by itself; OSError or StoreUnavailable."""
        copy_database(self._db, target, "meta")


@contextmanager
def held_still(places: Sequence[SqliteAddress]) -> Iterator[None]:
    """Let nobody commit in any of these files meanwhile; Complaint if they are too busy."""
    deadline = time.monotonic() + _TAKE_LIMIT_S
    pause = threading.Event()

    def may_wait(tries: int) -> bool:
        pause.wait(_LOOK_S)
        return time.monotonic() < deadline

    with ExitStack() as undo:
        try:
            for at in places:
                gate = open_shard(at.path, at.shard, at.books_id, read_only=False)
                undo.callback(gate.close)
                gate.set_busy_handler(may_wait)
                gate.execute("BEGIN IMMEDIATE")
        except PASSING_FAULTS as error:
            raise Complaint(
                f"the shards could not be held still for a moment ({error}); nothing was written. "
                "Payments go on. Try again when there is less to do."
            ) from None
        yield


def copy_database(source: apsw.Connection, target: Path, mark_table: str) -> None:
    """Write what a connection sees into a new file, durably, and closed cleanly.

    OSError or StoreUnavailable; what was begun is left there.
    """
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with (
            closing(connect(target, apsw.SQLITE_OPEN_READWRITE)) as copy,
            copy.backup("main", source, "main") as copying,
        ):
            while not copying.done:
                copying.step(_PAGES_AT_ONCE)
        close_cleanly(connect(target, apsw.SQLITE_OPEN_READWRITE), target, mark_table)
    except apsw.FullError:  # whose own words are "not an error"
        raise StoreUnavailable(f"{target.name}: the disk is full") from None
    except apsw.Error as error:
        raise StoreUnavailable(f"{target.name}: {error}") from None
    _sync(target)


def copy_closed(source: Path, target: Path, mark_table: str) -> None:
    """Copy a database that nobody has open, with what is in its WAL; as `copy_database`."""
    try:
        db = connect(source, apsw.SQLITE_OPEN_READONLY)
    except apsw.Error as error:
        raise StoreUnavailable(f"{source.name}: {error}") from None
    with closing(db):
        copy_database(db, target, mark_table)


def copy_durably(source: Path, target: Path) -> None:
    """Copy a file of any size; it is on the disk afterwards, and its owner's alone. OSError."""
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    shutil.copyfile(source, target)
    _sync(target)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
