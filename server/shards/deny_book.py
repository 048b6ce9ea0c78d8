"""The deny list in the directory: what terminals turn away without asking, in order of versions.

Every method may raise StoreUnavailable. What a method wrote is durable when it returns, or with the
transaction around it.
"""

from __future__ import annotations

from collections.abc import Callable

import apsw

from kessai.identity_path import AGENT, parse_device
from server.domain.directory import DenyEntry, DenyKind
from server.shards.directory_file import DirectoryFile

EVERYBODY = ""
FOR_EVER = 2**63 - 1


class DenyBook:
    """The table `deny_entry`. An entry is for the terminals of one merchant, or for EVERYBODY."""

    def __init__(self, file: DirectoryFile) -> None:
        self._file = file
        self._listeners: list[Callable[[], None]] = []

    def on_change(self, listener: Callable[[], None]) -> None:
        """Have a listener called once something further is denied, durably; from any thread."""
        self._listeners.append(listener)

    def add(self, kind: DenyKind, entry_id: bytes, expire_us: int, merchant_id: str) -> None:
        """Deny something. Again it changes nothing."""
        self._insert("VALUES (?, ?, ?, ?)", int(kind), entry_id, expire_us, merchant_id)

    def add_certificates(self, device: str) -> None:
        """Deny the revoked certificates of a terminal to its merchant's others."""
        kind, names = parse_device(device)
        if kind == AGENT:
            self._insert(
                "SELECT ?, serial, expire_us, ? FROM certificate WHERE device = ? AND revoked",
                int(DenyKind.CERTIFICATE),
                names[0],
                device,
            )

    def add_credentials(self, device: str, now_us: int, until_us: int = FOR_EVER) -> None:
        """Deny a phone's credentials that expire after now, until a time, to everybody."""
        self._insert(
            "SELECT ?, credential_id, expire_us, ? FROM holder_credential"
            " WHERE device = ? AND expire_us > ? AND expire_us <= ?",
            int(DenyKind.CREDENTIAL),
            EVERYBODY,
            device,
            now_us,
            until_us,
        )

    def add_credentials_of_account(self, account: int, now_us: int, until_us: int) -> None:
        """Deny the credentials for an account that expire after now, until a time, to everybody."""
        self._insert(
            "SELECT ?, credential_id, expire_us, ? FROM holder_credential"
            " WHERE account = ? AND expire_us > ? AND expire_us <= ?",
            int(DenyKind.CREDENTIAL),
            EVERYBODY,
            account,
            now_us,
            until_us,
        )

    def version(self) -> int:
        """The newest version, whomever it concerns; 0 if nothing was ever denied."""
        rows = self._file.rows("SELECT seq FROM sqlite_sequence WHERE name = 'deny_entry'")
        return int(rows[0][0]) if rows else 0

    def after(self, version: int, merchant_id: str, now_us: int, limit: int) -> list[DenyEntry]:
        """Entries for a merchant's terminals after a version that have not expired, in order."""
        rows = self._file.rows(
            "SELECT version, kind, id, expire_us FROM deny_entry"
            " WHERE version > ? AND merchant_id IN (?, ?) AND expire_us > ?"
            " ORDER BY version LIMIT ?",
            version,
            EVERYBODY,
            merchant_id,
            now_us,
            limit,
        )
        return [DenyEntry(row[0], DenyKind(row[1]), row[2], row[3]) for row in rows]

    def holds(self, kind: DenyKind, entry_id: bytes) -> bool:
        """Whether something is denied."""
        rows = self._file.rows(
            "SELECT 1 FROM deny_entry WHERE kind = ? AND id = ?", int(kind), entry_id
        )
        return bool(rows)

    def _insert(self, rows: str, *values: apsw.SQLiteValue) -> None:
        added = self._file.rows(
            f"INSERT INTO deny_entry (kind, id, expire_us, merchant_id) {rows}"
            " ON CONFLICT DO NOTHING RETURNING version",
            *values,
        )
        if added:
            self._file.after_commit(self._tell)

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()
