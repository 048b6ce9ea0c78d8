"""A payment as the journal keeps it, and how its row is read."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from edge_agents.payment_request import PendingPayment
from kessai.kept_file import complaining
from kessai.v1.envelope_pb2 import Sealed, Signed

_COLUMNS = "request, state, sealed, receipt, note, printed, delivered, accept_us"
_ADVICE = "Keep the file: it may hold payments. Restore it, or pair a new terminal."


class PaymentState(StrEnum):
    """How far a payment has come, for good."""

    REQUESTED = "requested"
    PRESENTED = "presented"
    AUTHORIZED = "authorized"
    SETTLED = "settled"
    DECLINED = "declined"
    ABANDONED = "abandoned"
    HELD = "held"
    APPROVED = "approved"
    DELIVERED = "delivered"
    FAILED = "failed"
    VOIDED = "voided"


@dataclass(frozen=True, slots=True)
class Entry:
    """A payment as the journal keeps it."""

    pending: PendingPayment
    state: PaymentState
    sealed: Sealed | None
    receipt: Signed | None
    note: str
    printed: bool
    delivered: bool
    accept_us: int | None = None

    @property
    def is_waited_for(self) -> bool:
        """Whether a customer may still stand there: neither accepted nor set aside."""
        return self.accept_us is None and not self.note


def entries(db: sqlite3.Connection, where: str, *values: object) -> Iterator[Entry]:
    """The payments that a condition and order select; Complaint if the journal is damaged."""
    query = f"SELECT {_COLUMNS} FROM payment {where}"  # noqa: S608
    with complaining("The journal", _ADVICE):
        found = [_entry(row) for row in db.execute(query, values).fetchall()]
    return iter(found)


def _entry(row: tuple[Any, ...]) -> Entry:
    request, state, sealed, receipt, note, printed, delivered, accept_us = row
    return Entry(
        PendingPayment.from_bytes(request),
        PaymentState(state),
        Sealed.FromString(sealed) if sealed is not None else None,
        Signed.FromString(receipt) if receipt is not None else None,
        note,
        bool(printed),
        bool(delivered),
        accept_us,
    )
