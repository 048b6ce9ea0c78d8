"""A GTFS feed: a folder, or a zip file, of CSV tables (https://gtfs.org/documentation/schedule).

Read once, by `tariff`. A table that is not there has no rows; what a reader cannot do without it
asks for with `require`. Numbers are read as feeds write them: a whole number may be "1.0".
"""

from __future__ import annotations

import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from edge_agents.csv_rows import CsvError, csv_rows
from kessai.complaint import Complaint

MAX_TABLE_BYTES = 512 * 1024 * 1024

Row = dict[str, str]

_WHOLE = re.compile(r"([0-9]{1,9})(\.0*)?", re.ASCII)
# Exceptions that zipfile lets through for a file that is damaged, encrypted, or packed in a way
# that is not known here; the last ones are not documented.
_UNREADABLE = (
    *(OSError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, RuntimeError, EOFError),
    *(ValueError, struct.error, LookupError, OverflowError),
)


class FeedError(Exception):
    """A feed that cannot be; the message is for people and names the table."""


class Feed:
    """The tables of one feed. `path` is the folder or zip file that holds them."""

    def __init__(self, path: Path) -> None:
        """Find the feed; Complaint if there is none."""
        self.path = path
        self._read_tables: set[str] = set()
        try:
            is_there = path.is_dir() or zipfile.is_zipfile(path)
        except _UNREADABLE:
            is_there = False
        if not is_there:
            raise Complaint(
                f"There is no GTFS feed at {path}: name a folder or a zip file of GTFS tables."
            )

    def rows(self, table: str) -> list[Row]:
        """Read a table such as "stops"; no rows if the feed has none such. Complaint if damaged."""
        self._read_tables.add(table)
        try:
            return list(_rows(self._read(f"{table}.txt").decode("utf-8-sig")))
        except CsvError as error:
            raise self._complaint(table, f"line {error.line}: {error}") from None
        except _UNREADABLE as error:
            raise self._complaint(table, str(error) or repr(error)) from None

    def require(self, table: str) -> list[Row]:
        """Read a table that must have rows; Complaint if it has none."""
        rows = self.rows(table)
        if not rows:
            raise Complaint(f"The feed {self.path} has no {table}.txt, or nothing in it.")
        return rows

    def tables(self) -> dict[str, bytes]:
        """Every table that was read until now and is there, as it is in the feed."""
        try:
            found = {table: self._read(f"{table}.txt") for table in sorted(self._read_tables)}
        except _UNREADABLE as error:
            raise Complaint(f"The feed {self.path} cannot be copied: {error}.") from None
        return {table: raw for table, raw in found.items() if raw}

    def _read(self, name: str) -> bytes:
        if self.path.is_dir():
            path = self.path / name
            return path.read_bytes() if path.exists() else b""
        with zipfile.ZipFile(self.path) as archive:
            if name not in archive.namelist():
                return b""
            if archive.getinfo(name).file_size > MAX_TABLE_BYTES:
                raise ValueError(f"it is larger than {MAX_TABLE_BYTES} bytes")
            return archive.read(name)

    def _complaint(self, table: str, why: str) -> Complaint:
        return Complaint(f"{table}.txt of the feed {self.path} cannot be read: {why}.")


def by_id(table: str, rows: list[Row], column: str) -> dict[str, Row]:
    """The rows by their ids; FeedError if one has none, or two have the same."""
    found: dict[str, Row] = {}
    for row in rows:
        name = row[column]
        if not name:
            raise FeedError(f"a row of {table}.txt has no {column}")
        if name in found:
            raise FeedError(f'{table}.txt has the {column} "{name}" twice')
        found[name] = row
    return found


def whole_number(table: str, row: Row, column: str) -> int:
    """A number of at most nine digits: "7" and "7.0" are 7. FeedError for anything else."""
    match = _WHOLE.fullmatch(row.get(column, ""))
    if match is None:
        raise FeedError(f'"{row.get(column, "")}" in {table}.txt is no {column}')
    return int(match[1])


def _rows(text: str) -> Iterator[Row]:
    rows = csv_rows(text)
    names = next(rows, (1, [""]))[1]
    for name in names:
        if name and names.count(name) > 1:
            raise CsvError(1, f'it has the column "{name}" twice')
    for number, cells in rows:
        if any(cells[len(names) :]):
            raise CsvError(number, "it has more fields than the table has columns")
        if any(cells):
            missing = [""] * (len(names) - len(cells))
            yield dict(zip(names, cells + missing, strict=False))
