"""Shards on real files, for tests: made in a folder, opened, verified. Time stands until moved."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from server.shards.placement import ShardPlace, SlotMap
from server.shards.router import Shards, shard_path
from server.shards.schema import create_shard
from server.shards.shard import Shard
from server.shards.sqlite_reader import SqliteReader
from server.shards.sqlite_store import SqliteStore
from server.shards.store import Batch
from server.shards.verify import Report, verify
from tests.unit.server.domain.commands import NOW_US

BOOKS_ID = "0123456789abcdef"
LIMIT_S = 20.0


@dataclass
class Clock:
    """A clock that a test sets."""

    us: int = NOW_US

    def __call__(self) -> int:
        return self.us


class HeldStore(SqliteStore):
    """A store whose commits wait until they are let go, and are counted."""

    def __init__(self, path: Path, shard: int, books_id: str) -> None:
        super().__init__(path, shard, books_id)
        self.group_sizes: list[int] = []
        self.busy = threading.Event()
        self.let_go = threading.Event()

    def commit(self, batch: Batch) -> None:
        """Wait, then write as ever."""
        self.busy.set()
        assert self.let_go.wait(LIMIT_S)
        self.group_sizes.append(len(batch.rows))
        super().commit(batch)


def make_files(folder: Path, count: int = 1) -> None:
    """Make the shard files that are not there yet."""
    (folder / "shards").mkdir(exist_ok=True)
    for shard in range(count):
        if not shard_path(folder, shard).exists():
            create_shard(shard_path(folder, shard), shard, BOOKS_ID)


def open_shards(
    folder: Path,
    count: int = 1,
    clock: Callable[[], int] | None = None,
    on_owed: Callable[[int], None] = lambda shard: None,
) -> Shards:
    """Open shards, making the files if they are not there; close them yourself."""
    make_files(folder, count)
    slots, shards = SlotMap.even(count), []
    for number in range(count):
        path = shard_path(folder, number)
        store, reader = SqliteStore(path, number, BOOKS_ID), SqliteReader(path, number, BOOKS_ID)
        shards.append(Shard(ShardPlace(number, slots), store, reader, clock or Clock(), on_owed))
    return Shards(slots, shards)


@contextmanager
def shards_in(
    folder: Path, count: int = 1, clock: Callable[[], int] | None = None
) -> Iterator[Shards]:
    """Open shards for a while."""
    shards = open_shards(folder, count, clock)
    try:
        yield shards
    finally:
        shards.close()


@contextmanager
def held_shard(folder: Path) -> Iterator[tuple[Shard, HeldStore]]:
    """Open one shard whose commits wait until `let_go` is set."""
    make_files(folder)
    path = shard_path(folder, 0)
    store = HeldStore(path, 0, BOOKS_ID)
    place = ShardPlace(0, SlotMap.even(1))
    shard = Shard(place, store, SqliteReader(path, 0, BOOKS_ID), Clock(), lambda shard: None)
    try:
        yield shard, store
    finally:
        store.let_go.set()
        shard.close()


def open_reader(folder: Path, shard: int = 0) -> SqliteReader:
    """Open a reader of one shard."""
    return SqliteReader(shard_path(folder, shard), shard, BOOKS_ID)


def verify_shards(folder: Path, count: int = 1) -> Report:
    """Verify the files of a folder."""
    return verify(
        lambda: [open_reader(folder, shard) for shard in range(count)], SlotMap.even(count)
    )
