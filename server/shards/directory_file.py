"""The open file of the directory: statements and commits, from any thread, one after another.

Used by `directory` alone. A full or read-only disk raises StoreUnavailable, and nothing was
written. A failed write or fsync ends the process (design rule 3): what is on the disk is then
unknown.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw

from kessai.complaint import Complaint
from kessai.last_words import end_process
from server.shards.checked_file import (
    PASSING_FAULTS,
    READ_FAULTS,
    connect,
    damaged,
    is_checked,
    is_damage,
)
from server.shards.clean_close import close_cleanly
from server.shards.directory_schema import MARK_TABLE, open_database
from server.shards.sqlite_store import EXIT_DISK_FAILED
from server.shards.still import copy_database
from server.shards.store import StoreUnavailable


class DirectoryFile:
    """One connection that writes and checkpoints. Who holds `lock` sees no change by others."""

    def __init__(self, path: Path) -> None:
        """Open or make the file; Complaint if it cannot be used."""
        self._path = path
        self._connection = open_database(path)
        self.lock = threading.RLock()
        self._after_commit: list[Callable[[], None]] = []

    def close(self) -> None:
        """Close the file, with all that is committed in the file itself."""
        with self.lock:
            close_cleanly(self._connection, self._path, MARK_TABLE)

    def rows(self, statement: str, *values: apsw.SQLiteValue) -> list[tuple[Any, ...]]:
        """Run a statement; outside of a transaction, what it wrote is durable afterwards."""
        with self.lock, self._failing_stop():
            return list(self._connection.execute(statement, values))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make all statements within one commit, or none; durable afterwards.

        One within another belongs to it: an exception must leave both.
        """
        with self.lock, self._failing_stop():
            if self._connection.in_transaction:
                yield
                return
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
                actions = self._after_commit
            finally:
                self._after_commit = []
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
            for action in actions:
                action()

    def after_commit(self, action: Callable[[], None]) -> None:
        """Have something done once what was written is durable, or never if it is undone."""
        with self.lock:
            if self._connection.in_transaction:
                self._after_commit.append(action)
            else:
                action()

    def copy_to(self, target: Path) -> None:
        """Write the file as it is now into a new one; StoreUnavailable, and nothing is left."""
        with self.lock:
            try:
                copy_database(self._connection, target, MARK_TABLE)
            except (OSError, StoreUnavailable) as error:
                target.unlink(missing_ok=True)
                raise StoreUnavailable(f"the directory cannot be copied ({error})") from None

    @contextmanager
    def _failing_stop(self) -> Iterator[None]:
        try:
            yield
        except PASSING_FAULTS as error:
            raise StoreUnavailable(f"{self._path.name}: {error}") from None
        except READ_FAULTS as error:
            end_process(
                damaged(self._path, str(error))
                if is_damage(error)
                else f"writing {self._path} failed ({error}). The switch stops, so that nothing is "
                "acknowledged that is not on the disk. Check the disk, then start it again.",
                EXIT_DISK_FAILED,
            )


class DirectoryToRead(DirectoryFile):
    """The file of a stopped switch as it is: nothing is written, and its WAL stays as it was."""

    def __init__(self, path: Path) -> None:
        """Open the file; Complaint if it cannot be read, or has no audit log yet."""
        self._path, self.lock = path, threading.RLock()
        self._after_commit = []
        try:
            self._connection = connect(path, apsw.SQLITE_OPEN_READONLY)
            is_checked(self._connection, path)
            tables = self.rows("SELECT 1 FROM sqlite_schema WHERE name = 'audit_record'")
        except apsw.Error as error:
            raise Complaint(f"{path} cannot be read: {error}. Nothing was changed.") from None
        if not tables:
            self.close()
            raise Complaint(f"{path} is of a former release, which had none.")

    def close(self) -> None:
        """Close the file, and leave it as it was."""
        self._connection.close()
