"""Closing an SQLite file so that it alone is a whole copy, and telling whether it was closed so.

A mark stands in the file while it is open to write, brought into the file itself before the first
commit. A file with the mark and without a WAL is therefore a copy that left the WAL behind, or one
that a program other than Kessai has opened since.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import apsw

from server.shards.checked_file import tell

_MARK = "open"


def mark_open(db: apsw.Connection, table: str) -> None:
    """Write the mark into a file's `table` of keys and values.

    While somebody reads the file it stays in the WAL, which is no reason not to go on.
    """
    db.execute(f"INSERT OR REPLACE INTO {table} VALUES (?, '1')", (_MARK,))
    with suppress(apsw.BusyError):
        db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)


def close_cleanly(db: apsw.Connection, path: Path, table: str) -> None:
    """Bring all that is committed into the file itself, and close it; if it cannot, say so."""
    try:
        db.execute(f"DELETE FROM {table} WHERE key = ?", (_MARK,))
        db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    except apsw.Error as error:
        tell(
            f"{path}-wal still holds what was committed last ({error}): another program reads the "
            "file, or the disk is full. Nothing is lost; a copy needs both files."
        )
    db.close()


def is_marked_open(db: apsw.Connection, table: str) -> bool:
    """Whether a file was not closed cleanly, or is open now."""
    return bool(db.execute(f"SELECT 1 FROM {table} WHERE key = ?", (_MARK,)).fetchall())


def size_of_wal(path: Path) -> int:
    """The bytes in the WAL beside a file; 0 if it is empty or absent."""
    wal = path.with_name(path.name + "-wal")
    return wal.stat().st_size if wal.exists() else 0


def missing_wal(path: Path) -> str:
    """A warning about a file that was not closed and has no WAL."""
    return (
        f"{path} was not closed cleanly, and {path.name}-wal is missing or empty. If the file is a "
        "copy, the last payments before it may be missing: bring the WAL of the same moment. "
        "Otherwise nothing was booked since its last start."
    )


def left_over_wal(path: Path) -> str:
    """A warning about a file whose WAL is part of it."""
    return (
        f"{path}-wal holds payments that {path.name} itself lacks, because the switch was not "
        "stopped cleanly. Copy both, or start and stop the switch before copying."
    )
