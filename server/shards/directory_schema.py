"""How `directory.db` is opened, and brought to this release's form.

A new file takes all steps, one of a former version those that it lacks: `user_version` counts them.

WAL with synchronous=FULL, so that what was answered is on the disk (design rule 3). The lock is
exclusive: the switch keeps revocations and keys in memory, so no second process may write here.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, closing
from pathlib import Path

import apsw

from kessai.complaint import Complaint
from server.shards.checked_file import (
    add_checksums,
    check_at_start,
    connect,
    damaged,
    is_checked,
    list_faults,
    make_checked,
    tell,
)
from server.shards.clean_close import is_marked_open, mark_open, missing_wal, size_of_wal
from server.shards.directory_tables import STEPS

MARK_TABLE = "setting"


def open_database(path: Path) -> apsw.Connection:
    """Open the directory's file, with every table of this version.

    Complaint if it cannot be opened, is damaged, is in use, or is of a newer version.
    """
    wal_bytes = size_of_wal(path)
    try:
        with ExitStack() as undo:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
            connection = connect(path, apsw.SQLITE_OPEN_READWRITE)
            undo.callback(connection.close)
            connection.set_busy_timeout(0)
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("PRAGMA synchronous = FULL")
            _prepare(connection, path, wal_bytes)
            mark_open(connection, MARK_TABLE)
            undo.pop_all()
    except apsw.BusyError:
        raise Complaint(f"{path} is in use: another kessai runs on this data folder.") from None
    except (apsw.Error, OSError) as error:
        raise Complaint(
            f"The directory {path} cannot be opened: {error}. No money was moved. Make room on its "
            "disk, or bring the file back from a backup, and start again."
        ) from None
    return connection


def list_directory_faults(path: Path) -> list[str]:
    """The faults that SQLite finds in the directory, while no switch has it open."""
    try:
        with closing(connect(path, apsw.SQLITE_OPEN_READONLY)) as connection:
            is_checked(connection, path)
            return list_faults(connection, path, "integrity_check")
    except apsw.Error as error:
        return [damaged(path, str(error))]
    except Complaint as complaint:
        return [str(complaint)]


def _prepare(connection: apsw.Connection, path: Path, wal_bytes: int) -> None:
    if not connection.pragma("page_count"):
        make_checked(connection)
        _take_steps(connection, path)
        connection.execute("PRAGMA journal_mode = WAL")
        return
    connection.execute("PRAGMA journal_mode = WAL")
    _take_steps(connection, path)
    if is_checked(connection, path):
        check_at_start(connection, path)
    else:
        add_checksums(connection, path)
    if is_marked_open(connection, MARK_TABLE) and not wal_bytes:
        tell(missing_wal(path))


def _take_steps(connection: apsw.Connection, path: Path) -> None:
    version = int(connection.pragma("user_version"))
    if version > len(STEPS):
        raise Complaint(f"{path} was written by a newer kessai (version {version}): update this.")
    for number, step in enumerate(STEPS[version:], version + 1):
        with connection:
            connection.execute(step)
            connection.pragma("user_version", number)
