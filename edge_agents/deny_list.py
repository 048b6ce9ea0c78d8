"""The terminal's copy of the deny list: what it turns away without asking (rows B4, B10).

Kept up to date by `fleet_line`, asked by `offline_decision`, gates and entrances. One small SQLite
file in the agent's folder; what was taken is on the disk before it counts as known, so that a
restart forgets no lost phone. `as_of_us` says when the switch last confirmed that it is complete.

A confirmation from the future is none: this machine's clock was ahead then. By it entries counted
as expired, and were forgotten, that have not, so the list is asked for again from its beginning.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from kessai.complaint import Complaint
from kessai.kept_file import DAMAGED, require_sound
from kessai.v1.fleet_pb2 import (
    DENY_KIND_CERTIFICATE,
    DENY_KIND_CREDENTIAL,
    DENY_KIND_TICKET,
    DenyKind,
    DenyListUpdate,
)

FILE_NAME = "deny_list.db"
CREDENTIAL, TICKET, CERTIFICATE = DENY_KIND_CREDENTIAL, DENY_KIND_TICKET, DENY_KIND_CERTIFICATE
# How far this machine's clock may go back without a doubt about what was forgotten by it.
CLOCK_TOLERANCE_US = 60_000_000
_REFUSED = -1

_SCHEMA = """
    CREATE TABLE IF NOT EXISTS entry (
        kind INTEGER NOT NULL,
        id BLOB NOT NULL,
        expire_us INTEGER NOT NULL,
        PRIMARY KEY (kind, id)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS state (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        version INTEGER NOT NULL,
        as_of_us INTEGER NOT NULL
    ) STRICT;
    INSERT INTO state VALUES (1, 0, 0) ON CONFLICT DO NOTHING;
"""


class DenyList:
    """The copy in an agent's folder, in memory for look-ups."""

    def __init__(self, folder: Path) -> None:
        """Open or make it; Complaint if the file is damaged."""
        path = folder / FILE_NAME
        try:
            self._db = sqlite3.connect(path, isolation_level=None, timeout=5.0)
            self._db.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")
            self._db.executescript(_SCHEMA)
            require_sound(self._db)
            self._entries = set(self._db.execute("SELECT kind, id FROM entry").fetchall())
            state = self._db.execute("SELECT version, as_of_us FROM state").fetchone()
        except DAMAGED as error:
            raise Complaint(
                f"The deny list {path} cannot be read ({error}). Delete it: it is fetched again "
                "from the switch. Until then nothing is accepted without the switch."
            ) from None
        self.version: int = state[0]
        self.as_of_us: int = state[1]

    def is_denied(self, kind: DenyKind.ValueType, entry_id: bytes) -> bool:
        """Whether a credential, ticket or certificate (20 bytes of its serial) is turned away."""
        return (int(kind), entry_id) in self._entries

    def take(self, update: DenyListUpdate, now_us: int) -> None:
        """Take an update, durably; once it is complete, what has expired is forgotten."""
        rows = [(int(e.kind), e.id, e.expire_time.ToMicroseconds()) for e in update.entries]
        as_of_us = now_us if update.complete else self.as_of_us
        # Only with a confirmation, so that its time tells by which clock entries were forgotten.
        expired_us = now_us if update.complete else 0
        self._db.execute("BEGIN IMMEDIATE")
        self._db.executemany("INSERT INTO entry VALUES (?, ?, ?) ON CONFLICT DO NOTHING", rows)
        self._db.execute("UPDATE state SET version = ?, as_of_us = ?", (update.version, as_of_us))
        expired = self._db.execute(
            "DELETE FROM entry WHERE expire_us <= ? RETURNING kind, id", (expired_us,)
        ).fetchall()
        self._db.execute("COMMIT")
        self._entries |= {(kind, entry_id) for kind, entry_id, _ in rows}
        self._entries -= set(expired)
        self.version, self.as_of_us = update.version, as_of_us

    def is_stale(self, age_us: int, now_us: int) -> bool:
        """Whether the switch confirmed it longer ago than `age_us`, or in the future, or never."""
        return not now_us - age_us <= self.as_of_us <= now_us + CLOCK_TOLERANCE_US

    def begin_anew(self, now_us: int) -> bool:
        """Begin at version 0 if it was confirmed in the future, keeping all entries; True if so.

        Durable. Then everything is asked for again, and counts as never confirmed until it came.
        """
        if self.as_of_us <= now_us + CLOCK_TOLERANCE_US:
            return False
        self._db.execute("UPDATE state SET version = 0, as_of_us = 0")
        self.version = self.as_of_us = 0
        return True

    @property
    def is_refused(self) -> bool:
        """Whether the switch refused this terminal itself since it last confirmed the list."""
        return self.as_of_us == _REFUSED

    def refuse(self) -> None:
        """Note, durably, that the switch refuses this terminal: what it knows counts as too old.

        Ends with the next complete update, from the beginning: by which clock entries were
        forgotten is not known any more.
        """
        self._db.execute("UPDATE state SET version = 0, as_of_us = ?", (_REFUSED,))
        self.version, self.as_of_us = 0, _REFUSED

    def close(self) -> None:
        """Close the file."""
        self._db.close()
