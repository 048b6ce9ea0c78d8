"""Payments accepted before the switch had answered: those that wait, those lost, and whose.

Read from the journal's file, for the limits of the decision without the switch. What was lost is
read off the payments themselves, so that no kill forgets it.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from edge_agents.payment_request import PendingPayment
from kessai.envelope import read_verified
from kessai.holder import WALLET_HANDLE_PERIOD_US
from kessai.v1 import decline_pb2 as d
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.holder_pb2 import HolderAnswer
from kessai.v1.payment_pb2 import Receipt

# So long a terminal remembers who took goods that were not paid; no wallet's handles last longer.
LOST_FOR_US = WALLET_HANDLE_PERIOD_US

# The wallet's two handles, twice.
_OF_WALLET = (
    "coalesce(wallet_handle, x'') IN (?, ?) OR coalesce(former_wallet_handle, x'') IN (?, ?)"
)
# Declines for which the phone can do nothing; the switch denies no credential for them either.
_NOT_HIS = {
    d.DECLINE_REASON_REQUEST_SIGNATURE_INVALID,
    d.DECLINE_REASON_REQUEST_MALFORMED,
    d.DECLINE_REASON_REQUEST_NOT_FROM_CALLER,
    d.DECLINE_REASON_SUBMITTER_MISMATCH,
    d.DECLINE_REASON_AMOUNT_NOT_POSITIVE,
    d.DECLINE_REASON_AMOUNT_TOO_LARGE,
    d.DECLINE_REASON_CLOCK_AHEAD,
    d.DECLINE_REASON_PAYEE_ACCOUNT_UNKNOWN,
    d.DECLINE_REASON_PAYER_IS_PAYEE,
    d.DECLINE_REASON_ADMISSION_USED,
    d.DECLINE_REASON_TICKET_OFFER_UNKNOWN,
    d.DECLINE_REASON_TICKET_ORDER_WRONG,
    d.DECLINE_REASON_TICKET_HOLDER_MISSING,
    d.DECLINE_REASON_SWITCH_FAULT,
}
# Not lost is a fare that was asked for twice, of which the switch settled the other.
_LOST = """
    FROM payment AS lost WHERE accept_us >= ? AND state IN ('declined', 'abandoned')
    AND NOT EXISTS (SELECT 1 FROM payment AS other
                    WHERE other.admission_id = lost.admission_id AND other.state = 'settled')
"""


@dataclass(frozen=True, slots=True)
class HolderMark:
    """By what a terminal recognises a customer: his credential, and his wallet's handles.

    All whose credentials name no wallet, as those of old, count as one.
    """

    credential_id: bytes
    wallet_handle: bytes = b""
    former_wallet_handle: bytes = b""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Payments accepted and unanswered: their number, minor units, and number of one wallet."""

    count: int
    total_minor: int
    of_wallet: int


@dataclass(frozen=True, slots=True)
class Lost:
    """Losses, accepted and not settled: the number with one credential, and of one wallet."""

    with_credential: int
    of_wallet: int


class AcceptedPayments:
    """The accepted payments of one journal, which writes them."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def waiting(self, holder: HolderMark) -> Waiting:
        """Count what was accepted and the switch has not answered, and what of one wallet."""
        where = "WHERE state = 'authorized' AND accept_us IS NOT NULL"
        query = f"SELECT count(*), total(amount_minor), total({_OF_WALLET}) FROM payment {where}"  # noqa: S608
        count, total, of_wallet = self._db.execute(query, _handles(holder)).fetchone()
        return Waiting(count, int(total), int(of_wallet))

    def lost(self, holder: HolderMark, since_us: int) -> Lost:
        """Count what was accepted since a moment and then not settled, of one customer.

        What the switch declined for a fault of the terminal, the merchant or its own is not his.
        """
        query = f"SELECT {_OF_WALLET}, credential_id = ?, request, receipt {_LOST}"
        values = (*_handles(holder), holder.credential_id, since_us)
        found = [row for row in self._db.execute(query, values) if row[0] or row[1]]
        his = [row for row in found if row[3] is None or _is_holders_fault(row[2], row[3])]
        return Lost(sum(row[1] for row in his), sum(row[0] for row in his))

    def all_lost(self, since_us: int) -> tuple[int, dict[str, int]]:
        """Count all that was accepted since a moment and not settled, with the sum per currency."""
        query = f"SELECT currency, count(*), sum(amount_minor) {_LOST} GROUP BY currency"
        rows = self._db.execute(query, (since_us,)).fetchall()
        return sum(row[1] for row in rows), {row[0]: row[2] for row in rows}

    def answer_of(self, request_id: bytes) -> HolderAnswer | None:
        """The holder's answer on which a payment was accepted; None if it was not."""
        query = "SELECT holder_answer FROM payment WHERE request_id = ?"
        row = self._db.execute(query, (request_id,)).fetchone()
        return HolderAnswer.FromString(row[0]) if row and row[0] is not None else None


def _is_holders_fault(request: bytes, receipt: bytes) -> bool:
    said = read_verified(Signed.FromString(receipt), Receipt)
    if said.decline_reason == d.DECLINE_REASON_EXPIRED:  # unless the terminal itself came too late
        last_us = PendingPayment.from_bytes(request).last_us
        return said.settle_time.ToMicroseconds() < last_us
    return said.decline_reason not in _NOT_HIS


def _handles(holder: HolderMark) -> tuple[bytes, bytes, bytes, bytes]:
    handles = (holder.wallet_handle, holder.former_wallet_handle)
    return (*handles, *handles)
