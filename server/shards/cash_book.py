"""What each operator paid out, or moved alone, in the directory: counted before it is booked.

Every method may raise StoreUnavailable: nothing was written.
"""

from __future__ import annotations

from server.domain.directory import CashOut
from server.shards.directory_file import DirectoryFile


class CashBook:
    """A table: `cash_out`, or `cash_alone`. What a method wrote is durable when it returns."""

    def __init__(self, file: DirectoryFile, table: str = "cash_out") -> None:
        self._file, self._table = file, table

    def find(self, request_id: bytes) -> CashOut | None:
        """Find what was counted for a request."""
        rows = self._file.rows(
            "SELECT request_id, operator, account, currency, amount_minor, count_us"
            f" FROM {self._table} WHERE request_id = ?",
            request_id,
        )
        return CashOut(*rows[0]) if rows else None

    def add(self, cash: CashOut) -> None:
        """Count a withdrawal."""
        self._file.rows(
            f"INSERT INTO {self._table} VALUES (?, ?, ?, ?, ?, ?)",
            cash.request_id,
            cash.operator,
            cash.account,
            cash.currency,
            cash.amount_minor,
            cash.count_us,
        )

    def remove(self, request_id: bytes) -> None:
        """Count a withdrawal no longer: it was declined."""
        self._file.rows(f"DELETE FROM {self._table} WHERE request_id = ?", request_id)

    def total(self, operator: str, currency: str, since_us: int) -> int:
        """What an operator paid out in a currency after a time, in minor units."""
        rows = self._file.rows(
            f"SELECT coalesce(sum(amount_minor), 0) FROM {self._table}"
            " WHERE operator = ? AND currency = ? AND count_us > ?",
            operator,
            currency,
            since_us,
        )
        return int(rows[0][0])
