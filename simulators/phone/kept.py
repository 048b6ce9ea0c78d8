"""The SQLite files in a phone's folder: opened and read, or complained about in one line."""

from __future__ import annotations

import functools
import sqlite3
from pathlib import Path

from kessai.kept_file import complaining, require_sound

_ADVICE = "The money is safe with the bank: pair the phone again, into another folder."

# Around whatever reads a row.
reading = functools.partial(complaining, "A file of the phone", _ADVICE)


def open_kept(path: Path, script: str) -> sqlite3.Connection:
    """Open a file for all threads of the phone, and run a script; Complaint if it is damaged."""
    with complaining(str(path), _ADVICE):
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
        db.executescript(script)
        require_sound(db)
        return db
