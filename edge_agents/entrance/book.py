"""The entrance's book: who was let in with which ticket, in one SQLite file (design rule 3).

    asked -> admitted -> passed                     counted; the switch is told, once
      |          +-----> giving back -> given back  the door did not open: as if never asked
      +----------------> giving back -> given back  refused, or never answered; the hub is told

An entry is here before the hub is asked, and `admitted` before the door opens. What was admitted
when the agent was killed counts as passed, because nobody knows whether the door had opened: one
entry may be lost so, none is made twice. The counts are those of this door, or of the whole venue
if this agent is its hub. One agent at a time: the file is locked.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NoReturn

from kessai.complaint import Complaint
from kessai.kept_file import DAMAGED, complaining, require_sound
from kessai.last_words import end_process
from kessai.v1.decline_pb2 import DeclineReason
from kessai.v1.envelope_pb2 import Signed

FILE_NAME = "entrance.db"
_KEEP = "Keep the file: it says who went in. Restore it, or pair a new terminal."

_EXIT_IO_ERROR = 74  # sysexits.h: EX_IOERR

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entry (
    number     INTEGER PRIMARY KEY AUTOINCREMENT,
    request_id BLOB NOT NULL UNIQUE,
    ticket_id  BLOB NOT NULL,
    persons    INTEGER NOT NULL,
    ticket     BLOB NOT NULL,
    enter_us   INTEGER NOT NULL,
    state      TEXT NOT NULL,
    alone      INTEGER NOT NULL DEFAULT 0,
    uploaded   INTEGER NOT NULL DEFAULT 0,
    refusal    INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX IF NOT EXISTS entry_open ON entry (number) WHERE state IN ('asked', 'admitted');
CREATE INDEX IF NOT EXISTS entry_waiting ON entry (number) WHERE state = 'passed' AND uploaded = 0;
CREATE TABLE IF NOT EXISTS counted (
    request_id BLOB PRIMARY KEY,
    ticket_id  BLOB NOT NULL,
    persons    INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS counted_by_ticket ON counted (ticket_id);
"""


class EntryState(StrEnum):
    """How far an entry has come."""

    ASKED = "asked"
    ADMITTED = "admitted"
    PASSED = "passed"
    GIVING_BACK = "giving back"
    GIVEN_BACK = "given back"


@dataclass(frozen=True, slots=True)
class Entry:
    """Persons going in with a ticket; `alone` if the hub was not asked."""

    request_id: bytes
    ticket_id: bytes
    persons: int
    ticket: Signed
    enter_us: int
    alone: bool = False


def end_entrance(error: sqlite3.Error) -> NoReturn:
    """End the process: a write failed, so what is on the disk is unknown until the next start."""
    end_process(
        f"the entrance's book cannot be written ({error}). The entrance stops, and lets nobody in; "
        "who was admitted is counted at the next start. Check the disk.",
        _EXIT_IO_ERROR,
    )


class EntranceBook:
    """The book of one entrance; a write is on the disk when the call returns.

    If one cannot be, the process ends at once: nobody knows what the disk holds.
    """

    def __init__(
        self, folder: Path, on_failure: Callable[[sqlite3.Error], None] = end_entrance
    ) -> None:
        """Open or make it; Complaint if it cannot be used, or another agent uses it."""
        self._lock, self._on_failure = threading.Lock(), on_failure
        try:
            self._db = sqlite3.connect(
                folder / FILE_NAME, isolation_level=None, timeout=1, check_same_thread=False
            )
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.executescript(_SCHEMA)
            require_sound(self._db)
        except DAMAGED as error:
            raise Complaint(
                f"The entrance's book in {folder} cannot be used ({error}): another agent may run "
                "there. Nobody was let in. Stop it, or set `folder` to this entrance's own."
            ) from None

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    # Entries of this door.

    def ask(self, entry: Entry) -> None:
        """Keep an entry before anybody is asked about it."""
        self._run(
            "INSERT INTO entry (request_id, ticket_id, persons, ticket, enter_us, state, alone)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            entry.request_id,
            entry.ticket_id,
            entry.persons,
            entry.ticket.SerializeToString(),
            entry.enter_us,
            EntryState.ASKED,
            int(entry.alone),
        )

    def move(self, request_id: bytes, state: EntryState, alone: bool = False) -> None:
        """Take an entry to another state; `alone` stays set once it is."""
        self._run(
            "UPDATE entry SET state = ?, alone = max(alone, ?) WHERE request_id = ?",
            state,
            int(alone),
            request_id,
        )

    def in_state(self, state: EntryState) -> list[Entry]:
        """List the entries in a state, oldest first."""
        return self._entries("WHERE state = ? ORDER BY number", state)

    def waiting(self, limit: int) -> list[Entry]:
        """List what the switch has not been told yet, oldest first."""
        where = "WHERE state = 'passed' AND uploaded = 0 ORDER BY number LIMIT ?"
        return self._entries(where, limit)

    def mark_uploaded(self, request_id: bytes, refusal: DeclineReason.ValueType) -> None:
        """Note that the switch has booked an entry, or why not; it is not sent again."""
        self._run(
            "UPDATE entry SET uploaded = 1, refusal = ? WHERE request_id = ?",
            int(refusal),
            request_id,
        )

    def decided_alone(self) -> list[Entry]:
        """List the entries that the hub has not heard of, oldest first."""
        return self._entries("WHERE alone = 1 AND state = 'passed' ORDER BY number")

    def hub_heard(self, request_id: bytes) -> None:
        """Note that the hub has counted an entry that was decided alone."""
        self._run("UPDATE entry SET alone = 0 WHERE request_id = ?", request_id)

    # Counts, of this door or of all doors of the venue.

    def count_in(
        self, request_id: bytes, ticket_id: bytes, persons: int, admits: int, forced: bool = False
    ) -> int | None:
        """Count persons in; how many are left, or None if the ticket does not admit so many.

        The same request id again is the first answer. What is `forced` has happened: it is counted
        whatever the ticket says, and what is left may be less than nothing.
        """
        with self._writing():
            self._db.execute("BEGIN IMMEDIATE")
            taken = self._rows("SELECT 1 FROM counted WHERE request_id = ?", request_id)
            before = self._inside(ticket_id)
            fits = bool(taken) or forced or before + persons <= admits
            if fits and not taken:
                self._db.execute(
                    "INSERT INTO counted VALUES (?, ?, ?)", (request_id, ticket_id, persons)
                )
            inside = self._inside(ticket_id)
            self._db.execute("COMMIT")
        return admits - inside if fits else None

    def take_back(self, request_id: bytes) -> None:
        """Count persons out again: the door was not opened. Nothing if they were not counted."""
        self._run("DELETE FROM counted WHERE request_id = ?", request_id)

    def _inside(self, ticket_id: bytes) -> int:
        total = "SELECT coalesce(sum(persons), 0) FROM counted WHERE ticket_id = ?"
        return int(self._rows(total, ticket_id)[0][0])

    def _rows(self, statement: str, *values: bytes | int | str) -> list[tuple[int, ...]]:
        return self._db.execute(statement, values).fetchall()

    def _run(self, statement: str, *values: bytes | int | str) -> None:
        with self._writing():
            self._db.execute(statement, values)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._lock:
            try:
                yield
            except sqlite3.Error as error:
                self._on_failure(error)
                raise
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    def _entries(self, where: str, *values: bytes | int | str) -> list[Entry]:
        query = f"SELECT request_id, ticket_id, persons, ticket, enter_us, alone FROM entry {where}"  # noqa: S608
        with complaining("The entrance's book", _KEEP):
            with self._lock:
                rows = self._db.execute(query, values).fetchall()
            return [
                Entry(request, ticket_id, persons, Signed.FromString(ticket), enter_us, bool(alone))
                for request, ticket_id, persons, ticket, enter_us, alone in rows
            ]
