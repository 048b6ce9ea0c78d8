"""The tickets in a phone: as the switch signed them, and what doors said of them (row B10).

One SQLite file in the phone's folder, one row a ticket. What a method wrote is on the disk when it
returns, also after SIGKILL or a power cut. Used by `ticket_pocket`, and by `cli` to look back.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from kessai.envelope import read_verified
from kessai.v1.decline_pb2 import DeclineReason
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.ticket_pb2 import Ticket
from simulators.phone.kept import open_kept, reading

FILE_NAME = "tickets.sqlite3"

_SETTINGS = "PRAGMA journal_mode = DELETE; PRAGMA synchronous = EXTRA; PRAGMA busy_timeout = 5000;"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS ticket (
    ticket_id  BLOB PRIMARY KEY,
    signed     BLOB NOT NULL,
    persons_in INTEGER NOT NULL DEFAULT 0,
    refusal    INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE IF NOT EXISTS spent (
    ticket_id BLOB PRIMARY KEY,
    minor     INTEGER NOT NULL
) STRICT
"""


@dataclass(frozen=True, slots=True)
class KeptTicket:
    """A ticket, how many went in with it, and why a door refused it last (0: none did).

    `spent_minor`: what a gift certificate has paid.
    """

    signed: Signed
    ticket: Ticket
    persons_in: int
    refusal: DeclineReason.ValueType
    spent_minor: int

    @property
    def persons_left(self) -> int:
        """How many it still lets in, as far as the phone knows."""
        return max(0, self.ticket.offer.admits - self.persons_in)

    @property
    def value_left_minor(self) -> int:
        """What a gift certificate is still worth, as far as the phone knows."""
        return max(0, self.ticket.offer.value.amount_minor - self.spent_minor)


class TicketStore:
    """The tickets of one phone, in its folder."""

    def __init__(self, folder: Path) -> None:
        self._lock = threading.Lock()
        self._db = open_kept(folder / FILE_NAME, _SETTINGS + _SCHEMA)

    def keep(self, tickets: Iterable[tuple[Ticket, Signed]]) -> None:
        """Keep tickets, all or none; one that is kept already stays as it is."""
        rows = [(ticket.ticket_id, signed.SerializeToString()) for ticket, signed in tickets]
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany(
                "INSERT INTO ticket (ticket_id, signed) VALUES (?, ?) ON CONFLICT DO NOTHING", rows
            )
            self._db.execute("COMMIT")

    def all(self) -> list[KeptTicket]:
        """List the tickets, the oldest first."""
        query = (
            "SELECT signed, persons_in, refusal, coalesce(minor, 0)"
            " FROM ticket LEFT JOIN spent USING (ticket_id) ORDER BY ticket_id"
        )
        with reading():
            with self._lock:
                rows = self._db.execute(query).fetchall()
            kept = ((Signed.FromString(signed), *standing) for signed, *standing in rows)
            return [
                KeptTicket(signed, read_verified(signed, Ticket), *standing)
                for signed, *standing in kept
            ]

    def note_entry(self, ticket_id: bytes, persons_in: int) -> None:
        """Note that a door let in: so many are in with it now."""
        with self._lock:
            self._db.execute(
                "UPDATE ticket SET persons_in = ?, refusal = 0 WHERE ticket_id = ?",
                (persons_in, ticket_id),
            )

    def note_spent(self, ticket_id: bytes, spent_minor: int) -> None:
        """Note that a gift certificate paid: so much of it is spent now."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute(
                "INSERT INTO spent VALUES (?, ?)"
                " ON CONFLICT (ticket_id) DO UPDATE SET minor = excluded.minor",
                (ticket_id, spent_minor),
            )
            self._db.execute("UPDATE ticket SET refusal = 0 WHERE ticket_id = ?", (ticket_id,))
            self._db.execute("COMMIT")

    def note_refusal(self, ticket_id: bytes, refusal: DeclineReason.ValueType) -> None:
        """Note why a door refused a ticket."""
        with self._lock:
            self._db.execute(
                "UPDATE ticket SET refusal = ? WHERE ticket_id = ?", (int(refusal), ticket_id)
            )

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()
