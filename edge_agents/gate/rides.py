"""The rides of one gate: what it admitted and whom it let out, in one SQLite file of its own.

An admission is here before any phone has it, and an exit before its fare is asked for; so a tap
that was torn off, or a gate that was killed, goes on where it stopped, and nobody enters or leaves
twice with one admission here. Every write is on disk when the call returns (WAL, synchronous=FULL).
The fares themselves are in the journal. Used by `entry`, `leaving` and `desk`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge_agents.journal_file import end_agent
from kessai.complaint import Complaint
from kessai.kept_file import DAMAGED, complaining, require_sound
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.fare_pb2 import Admission

FILE_NAME = "rides.db"
_KEEP = "Keep the file: it says who left. Restore it, or pair a new terminal."

_SCHEMA = """
    CREATE TABLE IF NOT EXISTS entry (
        admission_id BLOB PRIMARY KEY,
        holder_key BLOB NOT NULL,
        admission BLOB NOT NULL,
        issue_us INTEGER NOT NULL,
        pass_us INTEGER
    ) STRICT;
    CREATE INDEX IF NOT EXISTS entry_holder ON entry (holder_key, issue_us);
    CREATE TABLE IF NOT EXISTS exit (
        admission_id BLOB PRIMARY KEY,
        holder_key BLOB NOT NULL,
        request_id BLOB,
        note BLOB,
        end_us INTEGER,
        pass_us INTEGER
    ) STRICT;
    CREATE INDEX IF NOT EXISTS exit_holder ON exit (holder_key, end_us);
    CREATE TABLE IF NOT EXISTS ask (
        admission_id BLOB PRIMARY KEY,
        ask_us INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE IF NOT EXISTS journey (
        admission_id BLOB PRIMARY KEY,
        note BLOB NOT NULL
    ) STRICT;
    CREATE TABLE IF NOT EXISTS unpriced (
        admission_id BLOB PRIMARY KEY,
        admission BLOB NOT NULL,
        end_us INTEGER NOT NULL,
        clear_us INTEGER
    ) STRICT;
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """An admission that this gate gave; `pass_us` is 0 while nobody has passed with it."""

    admission: Signed
    issue_us: int
    pass_us: int


@dataclass(frozen=True, slots=True)
class Exit:
    """A ride that ends here: the payment of its fare (empty: none), and the note once it is over.

    `pass_us` is 0 while nobody has passed with it.
    """

    admission_id: bytes
    request_id: bytes
    note: Signed | None
    pass_us: int


@dataclass(frozen=True, slots=True)
class UnpricedRide:
    """A ride that no tariff of this gate had, let out at `end_us`; the carrier is to clear it."""

    admission: Admission
    end_us: int


class Rides:
    """The rides of one gate, open for writing."""

    def __init__(
        self, folder: Path, on_failure: Callable[[sqlite3.Error], None] = end_agent
    ) -> None:
        """Open or make the file; Complaint if it cannot be used. The journal locks the folder."""
        self._on_failure = on_failure
        path = folder / FILE_NAME
        try:
            self._db = sqlite3.connect(path, timeout=5.0, isolation_level=None)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.executescript(_SCHEMA)
            require_sound(self._db)
        except DAMAGED as error:
            raise Complaint(f"The rides {path} cannot be opened ({error}). {_KEEP}") from None

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def admit(self, admission_id: bytes, holder_key: bytes, signed: Signed, now_us: int) -> None:
        """Keep a new admission."""
        raw = signed.SerializeToString()
        values = (admission_id, holder_key, raw, now_us)
        self._write("INSERT INTO entry VALUES (?, ?, ?, ?, NULL)", *values)

    def newest_entry(self, holder_key: bytes) -> Entry | None:
        """Give the newest admission that a holder got here."""
        query = "SELECT admission, issue_us, pass_us FROM entry WHERE holder_key = ?"
        with complaining("The rides", _KEEP):
            row = self._db.execute(f"{query} ORDER BY issue_us DESC", (holder_key,)).fetchone()
            return None if row is None else Entry(Signed.FromString(row[0]), row[1], row[2] or 0)

    def mark_entered(self, admission_id: bytes, now_us: int) -> None:
        """Note that somebody passed with an admission."""
        self._write("UPDATE entry SET pass_us = ? WHERE admission_id = ?", now_us, admission_id)

    def find_exit(self, admission_id: bytes) -> Exit | None:
        """Give what is known here of the end of a ride."""
        return self._exit("admission_id = ?", admission_id)

    def paid_and_inside(self, holder_key: bytes, since_us: int) -> Exit | None:
        """Give a holder's ride that was over here since a moment, and nobody has passed with it."""
        where = "holder_key = ? AND end_us >= ? AND note IS NOT NULL AND pass_us IS NULL"
        return self._exit(where, holder_key, since_us)

    def begin_exit(
        self, admission_id: bytes, holder_key: bytes, request_id: bytes, ask_us: int
    ) -> None:
        """Keep which payment is the fare of a ride, in place of one that came to nothing.

        The first `ask_us` stays: a fare that depends on the time is the same at every tap.
        """
        ask = "INSERT INTO ask VALUES (?, ?) ON CONFLICT DO NOTHING"
        begin = (
            "INSERT INTO exit VALUES (?, ?, ?, NULL, NULL, NULL)"
            " ON CONFLICT DO UPDATE SET request_id = excluded.request_id"
        )
        self._write("BEGIN IMMEDIATE")
        self._write(ask, admission_id, ask_us)
        self._write(begin, admission_id, holder_key, request_id)
        self._write("COMMIT")

    def end_ride(self, admission_id: bytes, holder_key: bytes, note: Signed, now_us: int) -> None:
        """Keep the note of a ride whose fare is paid, or free; the first one stays."""
        self._write(
            "INSERT INTO exit VALUES (?, ?, NULL, ?, ?, NULL) ON CONFLICT DO UPDATE SET"
            " note = coalesce(note, excluded.note), end_us = coalesce(end_us, excluded.end_us)",
            admission_id,
            holder_key,
            note.SerializeToString(),
            now_us,
        )

    def asked_us(self, admission_id: bytes) -> int:
        """When the fare of a ride was first asked for here, which is the moment it is for; or 0."""
        query = "SELECT ask_us FROM ask WHERE admission_id = ?"
        with complaining("The rides", _KEEP):
            row = self._db.execute(query, (admission_id,)).fetchone()
            return 0 if row is None else int(row[0])

    def keep_journey(self, admission_id: bytes, note: Signed) -> None:
        """Keep the note of the journey that a ride ends; the first one stays."""
        statement = "INSERT INTO journey VALUES (?, ?) ON CONFLICT DO NOTHING"
        self._write(statement, admission_id, note.SerializeToString())

    def journey(self, admission_id: bytes) -> Signed | None:
        """The note of the journey that a ride ended; None if no transfer leads on from it."""
        query = "SELECT note FROM journey WHERE admission_id = ?"
        with complaining("The rides", _KEEP):
            row = self._db.execute(query, (admission_id,)).fetchone()
            return None if row is None else Signed.FromString(row[0])

    def keep_unpriced(self, admission: Admission, now_us: int) -> None:
        """Keep a ride that has no price, for the carrier to clear; again is no change."""
        statement = "INSERT INTO unpriced VALUES (?, ?, ?, NULL) ON CONFLICT DO NOTHING"
        raw = admission.SerializeToString()
        self._write(statement, admission.admission_id, raw, now_us)

    def unpriced(self) -> list[UnpricedRide]:
        """The rides without a price that nobody has cleared, oldest first."""
        query = "SELECT admission, end_us FROM unpriced WHERE clear_us IS NULL ORDER BY end_us"
        with complaining("The rides", _KEEP):
            rows = self._db.execute(query).fetchall()
            return [UnpricedRide(Admission.FromString(raw), end_us) for raw, end_us in rows]

    def clear_unpriced(self, admission_id: bytes, now_us: int) -> bool:
        """Note that the carrier cleared a ride without a price; False if there is none such."""
        statement = "UPDATE unpriced SET clear_us = ? WHERE admission_id = ? AND clear_us IS NULL"
        with complaining("The rides", _KEEP):
            return self._db.execute(statement, (now_us, admission_id)).rowcount == 1

    def mark_left(self, admission_id: bytes, now_us: int) -> None:
        """Note that somebody passed at the end of a ride."""
        self._write("UPDATE exit SET pass_us = ? WHERE admission_id = ?", now_us, admission_id)

    def _exit(self, where: str, *values: object) -> Exit | None:
        columns = "admission_id, request_id, note, pass_us"
        query = f"SELECT {columns} FROM exit WHERE {where} ORDER BY end_us DESC"  # noqa: S608
        with complaining("The rides", _KEEP):
            row = self._db.execute(query, values).fetchone()
            if row is None:
                return None
            note = None if row[2] is None else Signed.FromString(row[2])
        return Exit(row[0], row[1] or b"", note, row[3] or 0)

    def _write(self, statement: str, *values: object) -> None:
        try:
            self._db.execute(statement, values)
        except sqlite3.Error as error:
            self._on_failure(error)
            raise
