"""What the phone must never forget: what it was asked, what the customer decided, the receipts.

One SQLite file in the phone's folder, one row a purchase. The first decision and the first receipt
stay, but that a hold's receipt gives way to that of its end; `decide` and `keep_receipt` give back
what is kept, whoever wrote it. What they gave is on the disk, also after SIGKILL or a power cut.
Used by `wallet` and, to look back, by `cli`.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

from kessai.envelope import BILL, read_verified
from kessai.log_marks import LogMarks
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.payment_pb2 import PaymentRequest, Receipt
from kessai.v1.tap_pb2 import TapStatus
from simulators.phone.bill import read_asked
from simulators.phone.kept import open_kept, reading

_FILE = "purchases.sqlite3"
# A rollback journal whose folder is synced too: several processes may read, and it is little data.
_SETTINGS = "PRAGMA journal_mode = DELETE; PRAGMA synchronous = EXTRA; PRAGMA busy_timeout = 5000;"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS purchase (
    request_hash    BLOB PRIMARY KEY,
    payment_request BLOB NOT NULL,
    shop            TEXT NOT NULL,
    status          INTEGER NOT NULL,
    sealed          BLOB NOT NULL,
    decide_time_us  INTEGER NOT NULL,
    receipt         BLOB
) STRICT;
CREATE TABLE IF NOT EXISTS asked_first (
    request_id      BLOB PRIMARY KEY,
    request_hash    BLOB NOT NULL
) STRICT
"""
_Row = tuple[bytes, bytes, str, TapStatus.ValueType, bytes, int, bytes | None]
_COLUMNS = "request_hash, payment_request, shop, status, sealed, decide_time_us, receipt"


@dataclass(frozen=True, slots=True)
class Decision:
    """What the customer decided: AUTHORIZED or CUSTOMER_DECLINED, and what the terminal was given.

    `payment_request` (which may be a bill) and `receipt` are serialised `Signed`, `sealed` is a
    serialised `Sealed`; `sealed` and `receipt` are empty where there is none.
    """

    request_hash: bytes
    payment_request: bytes
    shop: str
    status: TapStatus.ValueType
    sealed: bytes
    decide_time_us: int
    receipt: bytes = b""

    def read_request(self) -> PaymentRequest:
        """Read the request, or the bill in its shape, as it was when it was checked."""
        with reading():
            return read_asked(Signed.FromString(self.payment_request))

    def show_receipt(self) -> Signed | None:
        """Give the receipt of a bill for the phone that made it; a terminal is shown none."""
        with reading():
            is_bill = Signed.FromString(self.payment_request).type == BILL
            return Signed.FromString(self.receipt) if is_bill and self.receipt else None

    def read_receipt(self) -> Receipt | None:
        """Read the receipt as it was when it was checked; None if none came."""
        if not self.receipt:
            return None
        with reading():
            return read_verified(Signed.FromString(self.receipt), Receipt)


class Store:
    """The purchases of one phone, in its folder."""

    def __init__(self, folder: Path) -> None:
        self.marks = LogMarks(folder)
        self._lock = threading.Lock()
        self._db = open_kept(folder / _FILE, _SETTINGS + _SCHEMA)

    def find(self, request_hash: bytes) -> Decision | None:
        """Find the decision on a request; None if the customer has not decided."""
        with reading(), self._lock:
            query = f"SELECT {_COLUMNS} FROM purchase WHERE request_hash = ?"  # noqa: S608
            row = self._db.execute(query, (request_hash,)).fetchone()
        return None if row is None else _read_row(row)

    def is_asked_first(self, request_id: bytes, request_hash: bytes) -> bool:
        """Whether no other request or bill was asked for under this id before; kept for ever."""
        with self._lock:
            self._db.execute(
                "INSERT INTO asked_first VALUES (?, ?) ON CONFLICT DO NOTHING",
                (request_id, request_hash),
            )
            query = "SELECT request_hash FROM asked_first WHERE request_id = ?"
            [(first,)] = self._db.execute(query, (request_id,)).fetchall()
        return bool(first == request_hash)

    def decide(self, decision: Decision) -> Decision:
        """Keep a decision unless there is one already; give the one that is kept."""
        with self._lock:
            self._db.execute(
                f"INSERT INTO purchase ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, NULL)"  # noqa: S608
                " ON CONFLICT DO NOTHING",
                (
                    decision.request_hash,
                    decision.payment_request,
                    decision.shop,
                    int(decision.status),
                    decision.sealed,
                    decision.decide_time_us,
                ),
            )
        kept = self.find(decision.request_hash)
        assert kept is not None  # noqa: S101  # it was written above
        return kept

    def keep_receipt(self, request_hash: bytes, receipt: bytes, instead_of: bytes = b"") -> bytes:
        """Keep a receipt unless there is one already; give the one that is kept.

        With `instead_of` it takes the place of just that one.
        """
        with self._lock:
            self._db.execute(
                "UPDATE purchase SET receipt = ? WHERE request_hash = ?"
                " AND (receipt IS NULL OR receipt = ?)",
                (receipt, request_hash, instead_of),
            )
        kept = self.find(request_hash)
        return b"" if kept is None else kept.receipt

    def history(self, limit: int = 50) -> list[Decision]:
        """List the newest decisions, newest first."""
        with reading(), self._lock:
            query = f"SELECT {_COLUMNS} FROM purchase ORDER BY rowid DESC"  # noqa: S608
            rows = self._db.execute(query + " LIMIT ?", (limit,)).fetchall()
        return [_read_row(row) for row in rows]

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()


def _read_row(row: _Row) -> Decision:
    request_hash, payment_request, shop, status, sealed, decide_time_us, receipt = row
    return Decision(
        request_hash, payment_request, shop, status, sealed, decide_time_us, receipt or b""
    )
