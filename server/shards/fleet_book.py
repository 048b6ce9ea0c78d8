"""How the fleet is, in the directory: what devices last said, and their settings from afar.

Used by `server/identity/fleet.py`. Every method may raise StoreUnavailable: nothing was written.
"""

from __future__ import annotations

from collections.abc import Mapping

from server.shards.directory_file import DirectoryFile


class FleetBook:
    """The tables `device_report` and `device_setting`."""

    def __init__(self, file: DirectoryFile) -> None:
        self._file = file

    def keep_report(self, device: str, seen_us: int, report: bytes) -> None:
        """Keep what a device says of itself, instead of what it said before."""
        self._file.rows(
            "INSERT OR REPLACE INTO device_report VALUES (?, ?, ?)", device, seen_us, report
        )

    def report(self, device: str) -> tuple[int, bytes] | None:
        """Give when a device last said something, and what; None if it never did."""
        rows = self._file.rows("SELECT seen_us, report FROM device_report WHERE device = ?", device)
        return (rows[0][0], rows[0][1]) if rows else None

    def put_settings(self, device: str, settings: Mapping[str, int]) -> None:
        """Set some settings of a device, all in one commit, under the next version."""
        with self._file.transaction():
            version = self.settings(device)[0] + 1
            for key, value in settings.items():
                self._file.rows(
                    "INSERT OR REPLACE INTO device_setting VALUES (?, ?, ?, ?)",
                    device,
                    key,
                    value,
                    version,
                )

    def settings(self, device: str) -> tuple[int, dict[str, int]]:
        """Give the version of a device's settings, and the settings by key; 0 and none at first."""
        rows = self._file.rows(
            "SELECT key, value, version FROM device_setting WHERE device = ? ORDER BY key", device
        )
        return max((row[2] for row in rows), default=0), {row[0]: row[1] for row in rows}
