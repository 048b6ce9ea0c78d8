"""Losses off line in the directory: payments that terminals accepted and the switch then declined.

Every method may raise StoreUnavailable: nothing was written.
"""

from __future__ import annotations

from server.domain.directory import OfflineLoss
from server.shards.directory_file import DirectoryFile

_COLUMNS = "request_id, terminal, phone, amount_minor, currency, reason, is_phones, lose_us"


class LossBook:
    """The table `offline_loss`. A loss is never removed; one that was forgiven counts no more."""

    def __init__(self, file: DirectoryFile) -> None:
        self._file = file

    def add(self, loss: OfflineLoss) -> bool:
        """Keep a loss; whether it is a new one."""
        rows = self._file.rows(
            f"INSERT INTO offline_loss ({_COLUMNS}, wallet_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT DO NOTHING RETURNING 1",
            loss.request_id,
            loss.terminal,
            loss.phone,
            loss.amount_minor,
            loss.currency,
            loss.reason,
            int(loss.is_phones),
            loss.lose_us,
            loss.wallet_id,
        )
        return bool(rows)

    def noted_us(self, terminal: str, request_id: bytes) -> int:
        """When a loss that is kept was noted, microseconds since 1970."""
        rows = self._file.rows(
            "SELECT lose_us FROM offline_loss WHERE terminal = ? AND request_id = ?",
            terminal,
            request_id,
        )
        return int(rows[0][0])

    def newest(self, limit: int) -> list[OfflineLoss]:
        """The newest losses, newest first."""
        rows = self._file.rows(
            f"SELECT {_COLUMNS}, forgive_us FROM offline_loss ORDER BY lose_us DESC LIMIT ?", limit
        )
        return [
            OfflineLoss(payment, till, phone, minor, code, why, bool(is_phones), at_us, end_us or 0)
            for payment, till, phone, minor, code, why, is_phones, at_us, end_us in rows
        ]

    def count(self, wallet_id: str, since_us: int) -> int:
        """How many losses by the fault of a wallet's phones count since a moment."""
        rows = self._file.rows(
            "SELECT count(*) FROM offline_loss"
            " WHERE wallet_id = ? AND lose_us >= ? AND is_phones AND forgive_us IS NULL",
            wallet_id,
            since_us,
        )
        return int(rows[0][0])

    def forgive(self, wallet_id: str, now_us: int) -> int:
        """Let a wallet's losses count no more; how many there were."""
        rows = self._file.rows(
            "UPDATE offline_loss SET forgive_us = ?"
            " WHERE wallet_id = ? AND forgive_us IS NULL AND is_phones RETURNING 1",
            now_us,
            wallet_id,
        )
        return len(rows)
