"""Pairing codes in the directory: what each grants, until when, and how often it was missed.

Every method may raise StoreUnavailable: nothing was written.
"""

from __future__ import annotations

from typing import Any

from server.domain.directory import PairingGrant
from server.shards.directory_file import DirectoryFile

WITHDRAWN_US = 0
DECOY_HANDLE = b""


class PairingBook:
    """The table `pairing_code`. What a method wrote is durable when it returns."""

    def __init__(self, file: DirectoryFile) -> None:
        self._file = file

    def add(self, grant: PairingGrant) -> PairingGrant:
        """Keep a grant; gives back the one under this request_id, the older one if there is one."""
        self._file.rows(
            "INSERT INTO pairing_code VALUES (?, ?, ?, ?, ?, ?, 0) ON CONFLICT DO NOTHING",
            grant.request_id,
            grant.handle,
            grant.code_hash,
            grant.device,
            ",".join(map(str, grant.accounts)),
            grant.expire_us,
        )
        rows = self._file.rows("SELECT * FROM pairing_code WHERE request_id = ?", grant.request_id)
        return _grant(rows[0])

    def with_handle(self, handle: bytes) -> list[PairingGrant]:
        """The grants whose code begins so: one, but for a rare chance."""
        rows = self._file.rows("SELECT * FROM pairing_code WHERE handle = ?", handle)
        return [_grant(row) for row in rows]

    def count_wrong_try(self, handle: bytes) -> None:
        """Count a wrong try against the codes that begin so, or against a decoy; durably.

        The decoy makes it as much work for a code that there is not.
        """
        self._file.rows(
            "UPDATE pairing_code SET wrong_tries = wrong_tries + 1 WHERE handle IN"
            " (SELECT coalesce((SELECT handle FROM pairing_code WHERE handle = ?), ?))",
            handle,
            DECOY_HANDLE,
        )

    def withdraw(self, device: str) -> None:
        """Make all codes for a device void."""
        self._file.rows(
            "UPDATE pairing_code SET expire_us = ? WHERE device = ?", WITHDRAWN_US, device
        )

    def is_withdrawn(self, request_id: bytes) -> bool:
        """Whether the code of a request was made void."""
        rows = self._file.rows(
            "SELECT 1 FROM pairing_code WHERE request_id = ? AND expire_us = ?",
            request_id,
            WITHDRAWN_US,
        )
        return bool(rows)


def _grant(row: tuple[Any, ...]) -> PairingGrant:
    request_id, handle, code_hash, device, accounts, expire_us, wrong_tries = row
    numbers = tuple(map(int, accounts.split(","))) if accounts else ()
    return PairingGrant(request_id, handle, code_hash, device, numbers, expire_us, wrong_tries)
