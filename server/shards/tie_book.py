"""What ties the stores of a switch together, as the directory keeps it.

The directory notes the newest place of every shard's log under a number that grows, and each shard
is told that number (`Tied`). So whichever of the stores is an older copy, another one knows more.
Also the restores whose loss an operator accepted. Every method may raise StoreUnavailable.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from server.shards.directory_file import DirectoryFile

_NUMBER = "tie"
# Terminals have lists that are newer than a restored one by less than this.
_VERSIONS_SKIPPED = 1_000_000_000


class Place(NamedTuple):
    """A row of a shard's log, and when it was noted; microseconds since 1970."""

    sequence: int
    chain_hash: bytes
    note_us: int


class Restore(NamedTuple):
    """A restore at a time: of each shard the rows up to `sequences` were kept."""

    restore_us: int
    sequences: dict[int, int]


class TieBook:
    """The tables `store_place` and `restore`, and the setting with the number of the tie."""

    def __init__(self, file: DirectoryFile) -> None:
        self._file = file

    def number(self) -> int:
        """The number of the newest tie; 0: the stores were never tied."""
        rows = self._file.rows("SELECT value FROM setting WHERE key = ?", _NUMBER)
        return int(rows[0][0]) if rows else 0

    def places(self) -> dict[int, Place]:
        """The newest place that is known of each shard."""
        if not self._has("store_place"):
            return {}
        rows = self._file.rows("SELECT shard, sequence, chain_hash, note_us FROM store_place")
        return {shard: Place(*place) for shard, *place in rows}

    def note(self, places: Mapping[int, Place], least: int = 0) -> int:
        """Note places under the next number, at least `least`, in one commit; the number."""
        with self._file.transaction():
            number = max(self.number() + 1, least)
            self._file.rows("INSERT OR REPLACE INTO setting VALUES (?, ?)", _NUMBER, str(number))
            for shard, place in places.items():
                self._file.rows(
                    "INSERT OR REPLACE INTO store_place VALUES (?, ?, ?, ?)", shard, *place
                )
        return number

    def accept_loss(self, restore: Restore) -> None:
        """Note that what came after these places is lost; what was known of shards is forgotten.

        Versions of the deny list go on beyond any that a terminal may have.
        """
        with self._file.transaction():
            self._file.rows("DELETE FROM store_place")
            for shard, sequence in restore.sequences.items():
                self._file.rows(
                    "INSERT OR REPLACE INTO restore VALUES (?, ?, ?)",
                    restore.restore_us,
                    shard,
                    sequence,
                )
            skipped = self._file.rows(
                "UPDATE sqlite_sequence SET seq = seq + ? WHERE name = 'deny_entry' RETURNING seq",
                _VERSIONS_SKIPPED,
            )
            if not skipped:
                self._file.rows(
                    "INSERT INTO sqlite_sequence VALUES ('deny_entry', ?)", _VERSIONS_SKIPPED
                )

    def restores(self) -> list[Restore]:
        """The restores whose loss was accepted, oldest first."""
        found: dict[int, dict[int, int]] = {}
        rows = self._file.rows("SELECT restore_us, shard, sequence FROM restore ORDER BY 1")
        for restore_us, shard, sequence in rows:
            found.setdefault(restore_us, {})[shard] = sequence
        return [Restore(restore_us, sequences) for restore_us, sequences in found.items()]

    def _has(self, table: str) -> bool:
        # A directory of a former release that is only read has none.
        return bool(self._file.rows("SELECT 1 FROM sqlite_schema WHERE name = ?", table))
