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

# Entries are told until a day after they expired; by which clock they were left out is noted, once
# a day. If that was ahead, what it left out is told anew.
_DAY_US = 86_400_000_000
_LOST_AT_MOST = 1_000_000_000
_LEFT_OUT = "deny_list_left_out_until_us"


class DenyBook:
    """The table `deny_entry`. An entry is for the terminals of one merchant, or for EVERYBODY."""

    def __init__(self, file: DirectoryFile) -> None:
        self._file = file
        self._left_out_us: int | None = None
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

    def add_credentials(self, device: str, until_us: int = FOR_EVER) -> None:
        """Deny a phone's credentials that expire until a time, to everybody.

        Also those that have expired by a clock, which may be ahead.
        """
        self._insert(
            "SELECT ?, credential_id, expire_us, ? FROM holder_credential"
            " WHERE device = ? AND expire_us <= ?",
            int(DenyKind.CREDENTIAL),
            EVERYBODY,
            device,
            until_us,
        )

    def add_credentials_of_account(self, account: int, until_us: int) -> None:
        """Deny the credentials for an account that expire until a time, to everybody."""
        self._insert(
            "SELECT ?, credential_id, expire_us, ? FROM holder_credential"
            " WHERE account = ? AND expire_us <= ?",
            int(DenyKind.CREDENTIAL),
            EVERYBODY,
            account,
            until_us,
        )

    def version(self) -> int:
        """The newest version, whomever it concerns; 0 if nothing was ever denied."""
        rows = self._file.rows("SELECT seq FROM sqlite_sequence WHERE name = 'deny_entry'")
        return int(rows[0][0]) if rows else 0

    def after(self, version: int, merchant_id: str, now_us: int, limit: int) -> list[DenyEntry]:
        """Entries for a merchant's terminals after a version, in order.

        Without those that expired a day ago. What was left out by a clock that was ahead comes
        again, under versions of now.
        """
        expired_us = now_us - _DAY_US
        self._note_left_out(expired_us)
        rows = self._file.rows(
            "SELECT version, kind, id, expire_us FROM deny_entry"
            " WHERE version > ? AND merchant_id IN (?, ?) AND expire_us > ?"
            " ORDER BY version LIMIT ?",
            version,
            EVERYBODY,
            merchant_id,
            expired_us,
            limit,
        )
        return [DenyEntry(row[0], DenyKind(row[1]), row[2], row[3]) for row in rows]

    def begin_after_loss(self) -> None:
        """Give what is denied from now on versions beyond all that a lost file may have told.

        Else a terminal that had more would not hear of entries under versions that it knows.
        """
        beyond = self.version() + _LOST_AT_MOST
        with self._file.transaction():
            self._file.rows("DELETE FROM sqlite_sequence WHERE name = 'deny_entry'")
            self._file.rows("INSERT INTO sqlite_sequence VALUES ('deny_entry', ?)", beyond)

    def holds(self, kind: DenyKind, entry_id: bytes) -> bool:
        """Whether something is denied."""
        rows = self._file.rows(
            "SELECT 1 FROM deny_entry WHERE kind = ? AND id = ?", int(kind), entry_id
        )
        return bool(rows)

    def _note_left_out(self, expired_us: int) -> None:
        """Note durably up to which end entries are left out; if that was more, tell them anew."""
        if self._left_out_us is None:
            rows = self._file.rows("SELECT value FROM setting WHERE key = ?", _LEFT_OUT)
            self._left_out_us = int(rows[0][0]) if rows else 0
        if self._left_out_us - _DAY_US <= expired_us <= self._left_out_us:
            return
        with self._file.transaction():
            self._file.rows(
                "REPLACE INTO deny_entry (kind, id, expire_us, merchant_id)"
                " SELECT kind, id, expire_us, merchant_id FROM deny_entry"
                " WHERE expire_us > ? AND expire_us <= ? ORDER BY version",
                expired_us,
                self._left_out_us,
            )
            until_us = expired_us + _DAY_US
            self._file.rows("REPLACE INTO setting VALUES (?, ?)", _LEFT_OUT, str(until_us))
        self._left_out_us = until_us

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
