"""What a phone that asks others for money must not forget: its bills and what became of them.

One SQLite file in the phone's folder, one row a bill. A bill is here before another phone sees it,
the other's sealed authorisation before the switch sees it; so a bill that was cut off is submitted
again in the same bytes (row B5). Used by `bill_collector` and, to look back, by `bill_cli`.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from pathlib import Path

from kessai.envelope import read_verified
from kessai.log_marks import LogMarks
from kessai.request_id import format_request_id
from kessai.v1 import bill_pb2
from kessai.v1.bill_pb2 import Bill
from kessai.v1.envelope_pb2 import Sealed, Signed
from kessai.v1.payment_pb2 import Receipt
from simulators.phone.kept import open_kept, reading

_FILE = "bills.sqlite3"
_SETTINGS = "PRAGMA journal_mode = DELETE; PRAGMA synchronous = EXTRA; PRAGMA busy_timeout = 5000;"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS bill (
    bill_hash BLOB PRIMARY KEY,
    bill      BLOB NOT NULL,
    sealed    BLOB,
    receipt   BLOB
) STRICT
"""


@dataclass(frozen=True, slots=True)
class OwnBill:
    """A bill of this phone, and what came of it so far."""

    signed: Signed
    sealed: Sealed | None = None
    signed_receipt: Signed | None = None

    @property
    def bill(self) -> Bill:
        """What is asked."""
        return read_verified(self.signed, Bill)

    @property
    def bill_hash(self) -> bytes:
        """SHA-256 over the payload, 32 bytes."""
        return hashlib.sha256(self.signed.payload).digest()

    @property
    def payment_id(self) -> str:
        """The request_id as the wire writes it."""
        return format_request_id(self.bill.request_id)

    @property
    def is_submitted_by_payer(self) -> bool:
        """Tell whether the payer's phone submits it."""
        return self.bill.submitter == bill_pb2.BILL_SUBMITTER_PAYER

    @property
    def receipt(self) -> Receipt | None:
        """The receipt as it was when it was verified; None if none came."""
        signed = self.signed_receipt
        with reading():
            return None if signed is None else read_verified(signed, Receipt)


class BillStore:
    """The bills of one phone, in its folder."""

    def __init__(self, folder: Path) -> None:
        self._marks = LogMarks(folder)
        self._lock = threading.Lock()
        self._db = open_kept(folder / _FILE, _SETTINGS + _SCHEMA)

    def add(self, signed: Signed) -> OwnBill:
        """Keep a new bill."""
        own = OwnBill(signed)
        self._write(
            "INSERT INTO bill (bill_hash, bill) VALUES (?, ?)",
            own.bill_hash,
            signed.SerializeToString(),
        )
        return own

    def keep_sealed(self, own: OwnBill, sealed: Sealed) -> OwnBill:
        """Keep the payer's sealed authorisation unless there is one; the bill as it is kept."""
        self._write(
            "UPDATE bill SET sealed = ? WHERE bill_hash = ? AND sealed IS NULL",
            sealed.SerializeToString(),
            own.bill_hash,
        )
        return self._find(own)

    def keep_receipt(self, own: OwnBill, receipt: Signed) -> OwnBill:
        """Keep a verified receipt unless there is one; the bill as it is kept."""
        self._write(
            "UPDATE bill SET receipt = ? WHERE bill_hash = ? AND receipt IS NULL",
            receipt.SerializeToString(),
            own.bill_hash,
        )
        self._marks.keep(receipt)
        return self._find(own)

    def history(self, limit: int = 50) -> list[OwnBill]:
        """List the newest bills, newest first."""
        with reading(), self._lock:
            query = "SELECT bill, sealed, receipt FROM bill ORDER BY rowid DESC LIMIT ?"
            return [_read(*row) for row in self._db.execute(query, (limit,)).fetchall()]

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def _find(self, own: OwnBill) -> OwnBill:
        with reading(), self._lock:
            query = "SELECT bill, sealed, receipt FROM bill WHERE bill_hash = ?"
            return _read(*self._db.execute(query, (own.bill_hash,)).fetchone())

    def _write(self, statement: str, *values: bytes) -> None:
        with self._lock:
            self._db.execute(statement, values)


def _read(bill: bytes, sealed: bytes | None, receipt: bytes | None) -> OwnBill:
    return OwnBill(
        Signed.FromString(bill),
        Sealed.FromString(sealed) if sealed is not None else None,
        Signed.FromString(receipt) if receipt is not None else None,
    )
