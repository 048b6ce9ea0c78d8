"""The deny list in the directory: what terminals turn away without asking, in order of versions.

Used by `server/identity/deny_list.py`. Every method may raise StoreUnavailable.
"""

from __future__ import annotations

from server.domain.directory import DenyEntry, DenyKind
from server.shards.directory_file import DirectoryFile


class DenyBook:
    """The table `deny_entry`. What it wrote is durable when it returns."""

    def __init__(self, file: DirectoryFile) -> None:
        self._file = file

    def add(self, kind: DenyKind, entry_id: bytes, expire_us: int) -> int:
        """Deny something; the newest version comes back. Again it changes nothing."""
        self._file.rows(
            "INSERT INTO deny_entry (kind, id, expire_us) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            int(kind),
            entry_id,
            expire_us,
        )
        return self.version()

    def version(self) -> int:
        """Tell the newest version; 0 if nothing was ever denied."""
        rows = self._file.rows("SELECT seq FROM sqlite_sequence WHERE name = 'deny_entry'")
        return int(rows[0][0]) if rows else 0

    def after(self, version: int, now_us: int, limit: int) -> list[DenyEntry]:
        """List what was denied after a version and has not expired, in order, at most `limit`."""
        rows = self._file.rows(
            "SELECT version, kind, id, expire_us FROM deny_entry"
            " WHERE version > ? AND expire_us > ? ORDER BY version LIMIT ?",
            version,
            now_us,
            limit,
        )
        return [DenyEntry(row[0], DenyKind(row[1]), row[2], row[3]) for row in rows]

    def holds(self, kind: DenyKind, entry_id: bytes) -> bool:
        """Tell whether something is denied."""
        rows = self._file.rows(
            "SELECT 1 FROM deny_entry WHERE kind = ? AND id = ?", int(kind), entry_id
        )
        return bool(rows)
