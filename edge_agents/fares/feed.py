"""A GTFS feed: a folder, or a zip file, of CSV tables (https://gtfs.org/documentation/schedule).

Read once, by `tariff`. A table that is not there has no rows; what a reader cannot do without it
asks for with `require`.
"""

from __future__ import annotations

import csv
import io
import zipfile
from pathlib import Path

from kessai.complaint import Complaint

Row = dict[str, str]


class Feed:
    """The tables of one feed. `path` is the folder or zip file that holds them."""

    def __init__(self, path: Path) -> None:
        """Find the feed; Complaint if there is none."""
        self.path = path
        if not path.is_dir() and not zipfile.is_zipfile(path):
            raise Complaint(
                f"There is no GTFS feed at {path}: name a folder or a zip file of GTFS tables."
            )

    def rows(self, table: str) -> list[Row]:
        """Read a table such as "stops"; no rows if the feed has none such. Complaint if damaged."""
        try:
            raw = self._read(f"{table}.txt")
            lines = csv.DictReader(io.StringIO(raw.decode("utf-8-sig")), strict=True)
            return [
                {name.strip(): (value or "").strip() for name, value in row.items() if name}
                for row in lines
            ]
        except (OSError, UnicodeDecodeError, csv.Error, zipfile.BadZipFile) as error:
            raise Complaint(
                f"{table}.txt of the feed {self.path} cannot be read: {error}."
            ) from None

    def require(self, table: str) -> list[Row]:
        """Read a table that must have rows; Complaint if it has none."""
        rows = self.rows(table)
        if not rows:
            raise Complaint(f"The feed {self.path} has no {table}.txt, or nothing in it.")
        return rows

    def _read(self, name: str) -> bytes:
        if self.path.is_dir():
            path = self.path / name
            return path.read_bytes() if path.exists() else b""
        with zipfile.ZipFile(self.path) as archive:
            return archive.read(name) if name in archive.namelist() else b""
