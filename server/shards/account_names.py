"""What in the directory names an account: merchants, phones, credentials. Read before it is closed.

Every method may raise StoreUnavailable: nothing was written.
"""

from __future__ import annotations

from collections.abc import Callable

from server.shards.directory_file import DirectoryFile

_SHOWN = 5


class AccountNames:
    """The rows of the directory that hold an account's number."""

    def __init__(self, file: DirectoryFile, now_us: Callable[[], int]) -> None:
        self._file, self._now_us = file, now_us

    def of(self, account: int) -> list[str]:
        """Up to five that name an account: "merchant shop", "phone/ann/pixel"."""
        merchants = self._file.rows(
            "SELECT 'merchant ' || merchant_id FROM merchant WHERE account = ?"
            " AND close_us IS NULL LIMIT ?",
            account,
            _SHOWN,
        )
        # A phone was told of it by its code, used or not; or its credential is good for it.
        phones = self._file.rows(
            "SELECT DISTINCT device FROM ("
            " SELECT code.device FROM pairing_code AS code LEFT JOIN device USING (device)"
            "  WHERE instr(',' || accounts || ',', ',' || ? || ',') AND revoke_us IS NULL"
            "  AND (expire_us > ? OR enroll_us IS NOT NULL)"
            " UNION SELECT credential.device FROM holder_credential AS credential"
            "  JOIN device USING (device)"
            "  WHERE account = ? AND expire_us > ? AND revoke_us IS NULL) LIMIT ?",
            account,
            self._now_us(),
            account,
            self._now_us(),
            _SHOWN,
        )
        return [name for (name,) in (*merchants, *phones)]
