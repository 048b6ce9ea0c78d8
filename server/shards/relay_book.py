"""Fleets in the directory: the merchants whose terminals each fleet's server serves.

Every method may raise StoreUnavailable: nothing was written.
"""

from __future__ import annotations

from collections.abc import Sequence

from server.shards.directory_file import DirectoryFile


class RelayBook:
    """The table `relay_merchant`. What it wrote is durable when it returns."""

    def __init__(self, file: DirectoryFile) -> None:
        self._file = file

    def merchants(self, fleet_id: str) -> list[str]:
        """The merchants of a fleet, by id."""
        rows = self._file.rows(
            "SELECT merchant_id FROM relay_merchant WHERE fleet_id = ? ORDER BY merchant_id",
            fleet_id,
        )
        return [merchant_id for (merchant_id,) in rows]

    def serves(self, fleet_id: str, merchant_id: str) -> bool:
        """Whether a merchant is one of a fleet's."""
        rows = self._file.rows(
            "SELECT 1 FROM relay_merchant WHERE fleet_id = ? AND merchant_id = ?",
            fleet_id,
            merchant_id,
        )
        return bool(rows)

    def put(self, fleet_id: str, merchant_ids: Sequence[str]) -> None:
        """Enter a fleet's merchants; they replace those before."""
        with self._file.transaction():
            self._file.rows("DELETE FROM relay_merchant WHERE fleet_id = ?", fleet_id)
            for merchant_id in merchant_ids:
                self._file.rows(
                    "INSERT OR IGNORE INTO relay_merchant VALUES (?, ?)", fleet_id, merchant_id
                )
