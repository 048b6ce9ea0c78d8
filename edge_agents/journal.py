"""The journal: what an agent must not forget, in one SQLite file of its own (design rules 3 and 4).

    requested -> authorized -> settled | declined
        |            +-> abandoned   (the switch refused to take it up: nothing was done)
        +-> abandoned                (cancelled, expired, or the customer said no)
        +-> presented -> settled | declined | abandoned      (the phone submits; row B2)

A payment that is held first, as at a vending machine:

    authorized -> held -> approved -> delivered -> settled | voided
                   +---------+------> failed ----> voided | settled

approved: the machine was told to give the goods out; delivered and failed: what it said, or what
was decided for it, and so what is owed: a capture or a void.

A request is here before any phone sees it, a sealed authorisation before the switch sees it, and a
receipt before goods are handed over. Every write is on disk when the call returns (WAL,
synchronous=FULL); if it cannot be, the process ends at once, because nobody knows what the disk
holds. One agent at a time: the file is locked. Used by the register, settlements, receipt desk.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

from edge_agents.accepted import AcceptedPayments, HolderMark
from edge_agents.journal_entry import Entry as Entry
from edge_agents.journal_entry import PaymentState as PaymentState
from edge_agents.journal_entry import entries
from edge_agents.journal_file import end_agent, lock_folder, open_file
from edge_agents.payment_request import PendingPayment
from kessai.complaint import Complaint
from kessai.log_marks import LogMarks
from kessai.v1.envelope_pb2 import Sealed, Signed
from kessai.v1.holder_pb2 import HolderAnswer

FILE_NAME = "journal.db"


_S = PaymentState
_OPEN_HOLDS = (_S.HELD, _S.APPROVED, _S.DELIVERED, _S.FAILED)


class WrongState(Exception):
    """The payment is not in the state that the change needs; nothing was changed."""


class Journal:
    """The journal of one agent, open for writing."""

    def __init__(
        self, folder: Path, on_failure: Callable[[sqlite3.Error], None] = end_agent
    ) -> None:
        """Open or make the journal in a folder; Complaint if another agent uses it."""
        self._on_failure = on_failure
        self._lock = lock_folder(folder)
        self._db = open_file(folder / FILE_NAME)
        self.accepted = AcceptedPayments(self._db)
        self.marks = LogMarks(folder)

    def close(self) -> None:
        """Close the file and give the lock back."""
        self._db.close()
        os.close(self._lock)

    def next_order_number(self) -> int:
        """Give the number of the next payment, from 1; never used before in this journal."""
        row = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'payment'").fetchone()
        return (row[0] if row else 0) + 1

    def request(self, pending: PendingPayment) -> None:
        """Keep a new payment request."""
        self._write(
            "INSERT INTO payment"
            " (request_id, order_id, request, state, currency, amount_minor, admission_id)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            pending.request_id,
            pending.request.order_id,
            pending.signed.SerializeToString(deterministic=True),
            PaymentState.REQUESTED,
            pending.total.currency,
            pending.total.minor,
            pending.request.admission_id or None,
        )

    def authorize(self, request_id: bytes, sealed: Sealed) -> None:
        """Keep the phone's sealed authorisation; WrongState unless it was asked for."""
        raw = sealed.SerializeToString(deterministic=True)
        self._turn(request_id, _S.AUTHORIZED, [_S.REQUESTED], sealed=raw)

    def present(self, request_id: bytes) -> None:
        """Keep that phones may submit a request themselves; WrongState unless it was asked for."""
        self._turn(request_id, _S.PRESENTED, [_S.REQUESTED])

    def accept(
        self, request_id: bytes, holder: HolderMark, answer: HolderAnswer, accept_us: int
    ) -> None:
        """Note that the goods are handed over before the switch has answered, and on what.

        WrongState unless the payment is authorised. From then on it waits for the switch.
        """
        self._turn(
            request_id,
            _S.AUTHORIZED,
            [_S.AUTHORIZED],
            accept_us=accept_us,
            credential_id=holder.credential_id,
            wallet_handle=holder.wallet_handle,
            former_wallet_handle=holder.former_wallet_handle,
            holder_answer=answer.SerializeToString(deterministic=True),
        )

    def conclude(self, request_id: bytes, receipt: Signed, settled: bool) -> None:
        """Keep a verified receipt; WrongState unless the payment was authorised, or presented."""
        state, raw = _S.SETTLED if settled else _S.DECLINED, _raw(receipt)
        self._turn(request_id, state, [_S.AUTHORIZED, _S.PRESENTED], receipt=raw)
        self.marks.keep(receipt)

    def hold(self, request_id: bytes, receipt: Signed) -> None:
        """Keep a hold's verified receipt; WrongState unless it was authorised, or presented."""
        before = [_S.AUTHORIZED, _S.PRESENTED]
        self._turn(request_id, _S.HELD, before, receipt=_raw(receipt))
        self.marks.keep(receipt)

    def approve(self, request_id: bytes) -> None:
        """Note that goods are about to be given out; WrongState unless the money is held."""
        self._turn(request_id, _S.APPROVED, [_S.HELD])

    def decide(self, request_id: bytes, delivered: bool, note: str) -> None:
        """Note whether goods were given out, and so what is owed; WrongState if that is decided."""
        state = _S.DELIVERED if delivered else _S.FAILED
        self._turn(request_id, state, [_S.HELD, _S.APPROVED], note=note)

    def end_hold(self, request_id: bytes, receipt: Signed, settled: bool) -> None:
        """Keep the verified receipt of a hold's end; WrongState unless one was owed."""
        state, owed = _S.SETTLED if settled else _S.VOIDED, [_S.DELIVERED, _S.FAILED]
        self._turn(request_id, state, owed, receipt=_raw(receipt), delivered=0)
        self.marks.keep(receipt)

    def abandon(self, request_id: bytes, note: str) -> None:
        """Give a payment up that can no longer be settled; WrongState if it has an outcome."""
        self._turn(request_id, _S.ABANDONED, [_S.REQUESTED, _S.AUTHORIZED], note=note)

    def abandon_presented(self, request_id: bytes, note: str) -> None:
        """Give a presented payment up, once no phone can submit it; WrongState if it is none."""
        self._turn(request_id, _S.ABANDONED, [_S.PRESENTED], note=note)

    def set_aside(self, request_id: bytes, note: str) -> None:
        """Note why nobody waits for a payment any more; it stays presented, or authorised."""
        statement = "UPDATE payment SET note = ? WHERE request_id = ?"
        self._write(statement + " AND state IN ('presented', 'authorized')", note, request_id)

    def is_presented(self, request_id: bytes) -> bool:
        """Tell whether a phone may submit a request, and nothing is known of it yet."""
        where = "WHERE request_id = ? AND state = 'presented'"
        return next(self._select(where, request_id), None) is not None

    def mark_printed(self, request_id: bytes) -> None:
        """Note that the receipt is on paper."""
        self._write("UPDATE payment SET printed = 1 WHERE request_id = ?", request_id)

    def mark_delivered(self, request_id: bytes) -> None:
        """Note that the phone has the receipt."""
        self._write("UPDATE payment SET delivered = 1 WHERE request_id = ?", request_id)

    def note_unpaid(self, give_out_us: int, pending: PendingPayment | None) -> None:
        """Note goods that were given out and are not paid, once for each payment.

        None: nobody knows by which, nor at which price.
        """
        self._write(
            "INSERT INTO unpaid (give_out_us, request_id, currency, amount_minor)"
            " VALUES (?, ?, ?, ?)"
            " ON CONFLICT (request_id) DO UPDATE SET give_out_us = unpaid.give_out_us",
            give_out_us,
            *_known(pending),
        )

    def unpaid_since(self, since_us: int) -> tuple[int, dict[str, int]]:
        """Count what was given out unpaid since a moment, with the sum of each currency."""
        query = "SELECT currency, count(*), sum(amount_minor) FROM unpaid WHERE give_out_us >= ?"
        rows = self._db.execute(query + " GROUP BY currency", (since_us,)).fetchall()
        return sum(row[1] for row in rows), {row[0]: row[2] for row in rows if row[0]}

    def unanswered(self) -> tuple[int, dict[str, int]]:
        """Count what the switch has not answered, with the sum of each currency, minor units."""
        query = "SELECT currency, count(*), sum(amount_minor) FROM payment "
        rows = self._db.execute(query + "WHERE state = 'authorized' GROUP BY currency").fetchall()
        return sum(row[1] for row in rows), {row[0]: row[2] for row in rows}

    def find(self, request_id: bytes) -> Entry | None:
        """Give a payment by its request_id, or None."""
        return next(self._select("WHERE request_id = ?", request_id), None)

    def in_state(self, state: PaymentState) -> list[Entry]:
        """List the payments in a state, oldest first."""
        return list(self._select("WHERE state = ? ORDER BY number", state))

    def has_open_holds(self) -> bool:
        """Tell whether money is held whose end no receipt has told yet."""
        marks = ", ".join("?" for _ in _OPEN_HOLDS)
        query = f"SELECT 1 FROM payment WHERE state IN ({marks}) LIMIT 1"  # noqa: S608
        return self._db.execute(query, _OPEN_HOLDS).fetchone() is not None

    def unprinted(self) -> list[Entry]:
        """List what was paid and is not on paper yet, oldest first."""
        return list(self._select("WHERE state = 'settled' AND printed = 0 ORDER BY number"))

    def undelivered(self, limit: int) -> list[Entry]:
        """List the newest payments whose receipt the phone does not have yet, newest first."""
        where = "WHERE receipt IS NOT NULL AND delivered = 0 ORDER BY number DESC LIMIT ?"
        return list(self._select(where, limit))

    def newest_with_receipt(self) -> Entry | None:
        """Give the newest payment that has a receipt, or None."""
        where = "WHERE receipt IS NOT NULL ORDER BY number DESC LIMIT 1"
        return next(self._select(where), None)

    def _select(self, where: str, *values: object) -> Iterator[Entry]:
        return entries(self._db, where, *values)

    def _turn(
        self, request_id: bytes, to: PaymentState, before: list[PaymentState], **columns: object
    ) -> None:
        """Turn a payment from one of some states to another, and fill columns of it."""
        filled = "".join(f", {column} = ?" for column in columns)
        marks = ", ".join("?" for _ in before)
        statement = f"UPDATE payment SET state = ?{filled} WHERE request_id = ?"  # noqa: S608
        statement += f" AND state IN ({marks})"
        self._write(statement, to, *columns.values(), request_id, *before)

    def _write(self, statement: str, *values: object) -> None:
        try:
            with self._db:
                changed = self._db.execute(statement, values).rowcount
        except sqlite3.IntegrityError as error:
            raise WrongState(f"the journal has such a payment already: {error}") from None
        except sqlite3.Error as error:
            self._on_failure(error)
            raise
        if changed != 1:
            raise WrongState("the payment is not in the state that this change needs")


def read_journal(folder: Path, limit: int = 1_000_000) -> list[Entry]:
    """Read the newest payments, newest first, also while an agent is writing; changes nothing."""
    path = folder / FILE_NAME
    if not path.exists():
        raise Complaint(f"There is no journal in {folder}. Start the register there once.")
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5.0)
    try:
        return list(entries(db, "ORDER BY number DESC LIMIT ?", limit))
    finally:
        db.close()


def _known(pending: PendingPayment | None) -> tuple[bytes | None, str | None, int | None]:
    if pending is None:
        return None, None, None
    return pending.request_id, pending.total.currency, pending.total.minor


def _raw(receipt: Signed) -> bytes:
    return receipt.SerializeToString(deterministic=True)
