"""The operators in the directory who can still call.

Every method may raise StoreUnavailable.
"""

from __future__ import annotations

from kessai.identity_path import OPERATOR
from server.shards.directory_file import DirectoryFile


class OperatorBook:
    """What the tables `device` and `certificate` say of operators."""

    def __init__(self, file: DirectoryFile) -> None:
        self._file = file

    def good(self, now_us: int) -> list[str]:
        """The paths of operators with a certificate that is in date and not revoked."""
        rows = self._file.rows(
            "SELECT DISTINCT device FROM certificate"
            " WHERE device LIKE ? AND NOT revoked AND expire_us > ? ORDER BY device",
            f"{OPERATOR}/%",
            now_us,
        )
        return [device for (device,) in rows]

    def last_end_us(self) -> int:
        """When the last certificate of an operator ends, microseconds since 1970; 0: there is none.

        Those that were revoked do not count.
        """
        rows = self._file.rows(
            "SELECT max(expire_us) FROM certificate WHERE device LIKE ? AND NOT revoked",
            f"{OPERATOR}/%",
        )
        return int(rows[0][0] or 0)
