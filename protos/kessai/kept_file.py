"""SQLite files that a device keeps: one that is damaged is found when it is opened, in one line.

A damaged page is found by SQLite's own check of the whole file; a value that is none any more by
whoever reads it. A shard's file is the switch's business and has checksums (`server/shards`).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from google.protobuf.message import DecodeError

from kessai.complaint import Complaint

# What reading a damaged file raises: SQLite's own, also where its words are no text any more, and
# what parses a value.
DAMAGED = (sqlite3.Error, DecodeError, ValueError, TypeError)


@contextmanager
def complaining(what: str, advice: str) -> Iterator[None]:
    """Turn what reading a damaged file raises into a Complaint about it, with advice."""
    try:
        yield
    except DAMAGED as error:
        raise Complaint(f"{what} cannot be read ({error}). {advice}") from None


def require_sound(db: sqlite3.Connection) -> None:
    """sqlite3.DatabaseError if a page of the file is damaged; it is read as a whole."""
    found = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise sqlite3.DatabaseError(str(found))
