"""Wallets in the directory: the names that people see on their bills.

Used by `server/identity/wallets.py`. Every method may raise StoreUnavailable: nothing was written.
"""

from __future__ import annotations

from server.shards.directory_file import DirectoryFile


class WalletBook:
    """The table `wallet`. What it wrote is durable when it returns."""

    def __init__(self, file: DirectoryFile) -> None:
        self._file = file

    def name(self, wallet_id: str) -> str:
        """Tell a wallet's display name; its id if none was entered."""
        rows = self._file.rows("SELECT display_name FROM wallet WHERE wallet_id = ?", wallet_id)
        return str(rows[0][0]) if rows else wallet_id

    def put_name(self, wallet_id: str, display_name: str) -> None:
        """Enter a wallet's display name; it replaces the one before."""
        self._file.rows("INSERT OR REPLACE INTO wallet VALUES (?, ?)", wallet_id, display_name)
