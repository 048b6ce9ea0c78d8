"""Holder credentials in the directory: which were issued, to whom, and who rides as what.

Used by `server/identity/holders.py`. Every method may raise StoreUnavailable: nothing was written.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

from server.domain.directory import HolderEntry
from server.shards.directory_file import DirectoryFile
from server.shards.standing import while_good

_SELECT = (
    "SELECT credential_id, request_id, device, account, holder_key, signed, expire_us"
    " FROM holder_credential"
)


class HolderBook:
    """The tables `holder_credential` and `rider`. What it wrote is durable when it returns."""

    def __init__(self, file: DirectoryFile) -> None:
        self._file = file

    def add(self, entry: HolderEntry) -> HolderEntry:
        """Keep a credential; what is kept under its request_id comes back, the older if any."""
        self._file.rows(
            "INSERT INTO holder_credential VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            entry.credential_id,
            entry.request_id,
            entry.device,
            entry.account,
            entry.holder_key,
            entry.signed,
            entry.expire_us,
        )
        return self._one("request_id = ?", entry.request_id) or entry

    def issued_for(self, request_id: bytes) -> HolderEntry | None:
        """Find the credential that was issued for a request."""
        return self._one("request_id = ?", request_id)

    def find(self, credential_id: bytes) -> HolderEntry | None:
        """Find a credential, also an expired one."""
        return self._one("credential_id = ?", credential_id)

    def count(self, device: str, expire_us: int) -> int:
        """How many of a phone's credentials end after a time."""
        rows = self._file.rows(
            "SELECT count(*) FROM holder_credential WHERE device = ? AND expire_us > ?",
            device,
            expire_us,
        )
        return int(rows[0][0])

    def while_good(self, serial: int) -> AbstractContextManager[None]:
        """A transaction for the caller with this certificate; CertificateRevoked."""
        return while_good(self._file, serial)

    def owner_of_key(self, holder_key: bytes) -> str | None:
        """Name the phone that a holder key was first certified for."""
        found = self._one("holder_key = ?", holder_key)
        return found.device if found else None

    def rider_category(self, wallet_id: str) -> str | None:
        """Tell which fares a wallet's phones pay, if that was said."""
        rows = self._file.rows("SELECT category FROM rider WHERE wallet_id = ?", wallet_id)
        return str(rows[0][0]) if rows else None

    def put_rider_category(self, wallet_id: str, category: str) -> None:
        """Say which fares a wallet's phones pay."""
        self._file.rows("INSERT OR REPLACE INTO rider VALUES (?, ?)", wallet_id, category)

    def _one(self, where: str, value: bytes) -> HolderEntry | None:
        rows = self._file.rows(f"{_SELECT} WHERE {where} LIMIT 1", value)
        return HolderEntry(*rows[0]) if rows else None
