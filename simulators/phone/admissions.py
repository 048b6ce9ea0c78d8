"""The rides in a phone: admissions that gates gave it, and the notes that closed them (row B4).

One SQLite file in the phone's folder, one row a ride. What a method wrote is on the disk when it
returns: a gate opens on it. Used by `travel`, and by `cli` to look back.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

from kessai.envelope import read_verified
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.fare_pb2 import Admission, ExitNote
from kessai.v1.tap_pb2 import JourneyAnswer
from simulators.phone.kept import open_kept, reading

FILE_NAME = "admissions.sqlite3"

# One fsync a write, because a gate waits for it.
_SETTINGS = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000;"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS ride (
    number       INTEGER PRIMARY KEY AUTOINCREMENT,
    admission_id BLOB NOT NULL UNIQUE,
    merchant_id  TEXT NOT NULL,
    admission    BLOB NOT NULL,
    certificate  BLOB NOT NULL,
    exit_note    BLOB
) STRICT;
CREATE TABLE IF NOT EXISTS journey (
    merchant_id TEXT PRIMARY KEY,
    note        BLOB NOT NULL,
    certificate BLOB NOT NULL
) STRICT
"""
_COLUMNS = "admission, certificate, exit_note"


@dataclass(frozen=True, slots=True)
class Ride:
    """An admission as its gate signed it, with the gate's certificate, and the note if closed."""

    signed: Signed
    certificate: Signed
    signed_note: Signed | None

    @property
    def admission(self) -> Admission:
        """The admission, as it was when it was verified."""
        with reading():
            return read_verified(self.signed, Admission)

    @property
    def note(self) -> ExitNote | None:
        """The note that closed it, as it was when it was verified."""
        with reading():
            return None if self.signed_note is None else read_verified(self.signed_note, ExitNote)


class Admissions:
    """The rides of one phone, in its folder."""

    def __init__(self, folder: Path) -> None:
        self._lock = threading.Lock()
        self._db = open_kept(folder / FILE_NAME, _SETTINGS + _SCHEMA)

    def keep(self, admission: Admission, signed: Signed, certificate: Signed) -> None:
        """Keep an admission; again is no change."""
        with self._lock:
            self._db.execute(
                "INSERT INTO ride (admission_id, merchant_id, admission, certificate)"
                " VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (
                    admission.admission_id,
                    admission.merchant_id,
                    signed.SerializeToString(),
                    certificate.SerializeToString(),
                ),
            )

    def close_ride(self, admission_id: bytes, note: Signed) -> None:
        """Keep the note that closes a ride; the first one stays."""
        with self._lock:
            self._db.execute(
                "UPDATE ride SET exit_note = ? WHERE admission_id = ? AND exit_note IS NULL",
                (note.SerializeToString(), admission_id),
            )

    def keep_journey(self, merchant_id: str, note: Signed, certificate: Signed) -> None:
        """Keep the newest journey with a carrier, and the certificate of who signed its note."""
        values = (merchant_id, note.SerializeToString(), certificate.SerializeToString())
        with self._lock:
            self._db.execute("INSERT OR REPLACE INTO journey VALUES (?, ?, ?)", values)

    def forget_journey(self, merchant_id: str) -> None:
        """Forget the journey with a carrier: a ride ended that no transfer leads on from."""
        with self._lock:
            self._db.execute("DELETE FROM journey WHERE merchant_id = ?", (merchant_id,))

    def journey(self, merchant_id: str) -> JourneyAnswer | None:
        """The newest journey with a carrier, as a gate is shown it; None if there is none."""
        query = "SELECT note, certificate FROM journey WHERE merchant_id = ?"
        with reading(), self._lock:
            row = self._db.execute(query, (merchant_id,)).fetchone()
            if row is None:
                return None
            note, certificate = map(Signed.FromString, row)
            return JourneyAnswer(note=note, exit_certificate=certificate)

    def find(self, admission_id: bytes) -> Ride | None:
        """Find a ride, open or closed."""
        return self._one("admission_id = ?", admission_id)

    def open_ride(self, merchant_id: str) -> Ride | None:
        """Give the newest ride with a carrier that is not closed."""
        return self._one("merchant_id = ? AND exit_note IS NULL", merchant_id)

    def history(self, limit: int = 50) -> list[Ride]:
        """List the newest rides, newest first."""
        query = f"SELECT {_COLUMNS} FROM ride ORDER BY number DESC LIMIT ?"  # noqa: S608
        with reading(), self._lock:
            return [_read_row(row) for row in self._db.execute(query, (limit,))]

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def _one(self, where: str, *values: object) -> Ride | None:
        query = f"SELECT {_COLUMNS} FROM ride WHERE {where} ORDER BY number DESC"  # noqa: S608
        with reading(), self._lock:
            row = self._db.execute(query, values).fetchone()
            return None if row is None else _read_row(row)


def _read_row(row: tuple[bytes, bytes, bytes | None]) -> Ride:
    admission, certificate, note = row
    return Ride(
        Signed.FromString(admission),
        Signed.FromString(certificate),
        None if note is None else Signed.FromString(note),
    )
