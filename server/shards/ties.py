"""Whether the stores of a switch are of one moment: what each knows of the others.

Called at every start (`server/switch/ties.py`), and when a folder is verified.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from server.shards.settlement_log import CHAIN_START
from server.shards.store import Reader
from server.shards.tie_book import Place


class Standing(NamedTuple):
    """What a shard itself says: its newest tie, its last row, and the hash of the known row.

    `known_hash` is empty if there is no such row.
    """

    tie: int
    sequence: int
    known_hash: bytes


def standing_of(reader: Reader, known: Place | None) -> Standing:
    """Look how a shard stands, where a place of its log is known."""
    tie, last = reader.tie(), reader.last_sequence()
    if known is None or not known.sequence:
        return Standing(tie, last, CHAIN_START)
    rows = reader.rows_after(known.sequence - 1, 1)
    found = rows[0].chain_hash if rows and rows[0].sequence == known.sequence else b""
    return Standing(tie, last, found)


def head_of(reader: Reader, now_us: int) -> Place:
    """The newest place of a shard's log."""
    last = reader.last_sequence()
    rows = reader.rows_after(last - 1, 1) if last else []
    return Place(rows[0].sequence, rows[0].chain_hash, now_us) if rows else _start(now_us)


def tie_faults(
    number: int, places: Mapping[int, Place], standings: Sequence[Standing]
) -> Iterator[str]:
    """Name the stores that are older than the others, or another's; one line each."""
    known_shards = max(places, default=-1) + 1
    if known_shards > len(standings):
        yield (
            f"books.json is an older copy: it names {len(standings)} shards, and directory.db "
            f"knows {known_shards}"
        )
    for shard, standing in enumerate(standings):
        known = places.get(shard)
        if standing.tie > number:
            yield (
                f"directory.db is an older copy: shard {shard} was in use with a newer one "
                f"(tie {standing.tie}, the directory's is {number})"
            )
        if known is None or not known.sequence or standing.known_hash == known.chain_hash:
            continue
        if standing.sequence < known.sequence:
            yield (
                f"shard {shard} is an older copy: it ends at row {standing.sequence}, and "
                f"directory.db knew its row {known.sequence} at {_moment(known.note_us)}"
            )
        else:
            yield (
                f"shard {shard} is not the one that directory.db knows: its row {known.sequence} "
                "is another one"
            )


def _start(now_us: int) -> Place:
    return Place(0, CHAIN_START, now_us)


def _moment(us: int) -> str:
    return datetime.fromtimestamp(us / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
