"""Shards on real files and servers, for tests: made, opened, verified. Time stands until moved.

Where the shards are is a folder, then they are files in it, or `Stores` on another engine.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from kessai.money import MAX_AMOUNT
from kessai.v1 import decline_pb2 as d
from server.domain.command import ACCEPTED
from server.domain.document import Document, DocumentKind
from server.ledger.account import Account
from server.ledger.chart import AccountKind, open_account
from server.ledger.transfer import Hold, HoldState
from server.shards import opening
from server.shards.address import (
    PostgresAddress,
    ShardAddress,
    SqliteAddress,
    addresses,
    sqlite_urls,
)
from server.shards.placement import Moved, ShardPlace, SlotMap
from server.shards.router import Shards
from server.shards.settlement_log import CHAIN_START, LogRow, RowTime, log_row
from server.shards.shard import OnWritten, Shard, nobody_listens
from server.shards.store import Batch, BookedEntry, OutboxRow, Reader, Residents, Store, Tail
from server.shards.verify import Report, verify
from tests.unit.server.domain.commands import EUR, NOW_US, PAYMENT, deposit

BOOKS_ID = "0123456789abcdef"
ANN, BOB = 100_000_001, 100_000_002
LIMIT_S = 60.0


@dataclass
class Clock:
    """A clock that a test sets."""

    us: int = NOW_US

    def __call__(self) -> int:
        return self.us


@dataclass
class Stores:
    """Places for shards: at the urls in turn, where "" stands for a file in the folder."""

    folder: Path
    urls: Sequence[str] = ("",)
    books_id: str = BOOKS_ID
    _on_servers: list[PostgresAddress] = field(default_factory=list)

    def addresses(self, count: int) -> list[ShardAddress]:
        """Give the addresses of so many shards."""
        files = sqlite_urls(count)
        urls = [self.urls[n % len(self.urls)] or files[n] for n in range(count)]
        return addresses(urls, self.folder, self.books_id)

    def make(self, count: int = 1) -> list[ShardAddress]:
        """Make the shards that are not there yet; the addresses of all."""
        places = self.addresses(count)
        for place in places:
            if isinstance(place, PostgresAddress) and place not in self._on_servers:
                place.create()
                self._on_servers.append(place)
            elif isinstance(place, SqliteAddress) and not place.path.exists():
                place.create()
        return places

    def adopt(self, count: int) -> None:
        """Take over what another process has made."""
        on_servers = (p for p in self.addresses(count) if isinstance(p, PostgresAddress))
        self._on_servers += on_servers

    def remove(self) -> None:
        """Take away what was made on servers."""
        for place in self._on_servers:
            place.remove()


class HeldStore:
    """A store whose commits wait until they are let go, and are counted."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.group_sizes: list[int] = []
        self.busy = threading.Event()
        self.let_go = threading.Event()

    def commit(self, batch: Batch) -> None:
        """Wait, then write as ever."""
        self.busy.set()
        assert self.let_go.wait(LIMIT_S)
        self.group_sizes.append(len(batch.rows))
        self.store.commit(batch)

    def begin(self) -> Tail:
        return self.store.begin()

    def rows(self, request_ids: Sequence[bytes]) -> dict[bytes, LogRow]:
        return self.store.rows(request_ids)

    def accounts(self, ids: Sequence[int]) -> list[Account]:
        return self.store.accounts(ids)

    def holds(self, ids: Sequence[int]) -> list[Hold]:
        return self.store.holds(ids)

    def documents(self, ids: Sequence[bytes]) -> list[Document]:
        return self.store.documents(ids)

    def moved(self) -> list[Moved]:
        return self.store.moved()

    def residents(self, slot: int) -> Residents:
        return self.store.residents(slot)

    def abandon(self) -> None:
        self.store.abandon()

    def close(self) -> None:
        self.store.close()


def full_batch() -> Batch:
    """One of everything, with the largest values that there are."""
    batch = Batch()
    time = RowTime(NOW_US, NOW_US - 5)
    first = log_row(1, deposit(ANN, 1), time, ACCEPTED, CHAIN_START)
    declined = d.DECLINE_REASON_INSUFFICIENT_FUNDS
    batch.rows = [first, log_row(2, deposit(ANN, 2), time, declined, first.chain_hash)]
    for account_id in (ANN, BOB):
        account = open_account(account_id, EUR, AccountKind.CUSTOMER, "wallet/ann", NOW_US)
        account.credits_posted = account.debits_pending = MAX_AMOUNT
        batch.accounts[account_id] = account
    batch.entries = [
        BookedEntry(ANN, 1, -MAX_AMOUNT, -1, BOB, 1, NOW_US, first.request_id, 1),
        BookedEntry(BOB, 1, MAX_AMOUNT, MAX_AMOUNT, ANN, 1, NOW_US, first.request_id, 1),
    ]
    batch.holds = {
        2**128 - 1: Hold(2**128 - 1, ANN, BOB, 5, EUR, 4, NOW_US, 77),
        1: Hold(1, ANN, BOB, 5, EUR, 4, NOW_US, 0, HoldState.VOIDED),
    }
    ids = (bytes(16), b"\xff" * 32)
    batch.documents = {i: Document(i, DocumentKind.TICKET, ANN, i * 9) for i in ids}
    batch.outbox = [OutboxRow(1, first.request_id, ANN, 77, 5, EUR, PAYMENT)]
    return batch


def make_files(folder: Path, count: int = 1) -> None:
    """Make the shard files that are not there yet."""
    Stores(folder).make(count)


def open_shards(
    where: Path | Stores,
    count: int = 1,
    clock: Callable[[], int] | None = None,
    on_owed: Callable[[int], None] = lambda shard: None,
    on_written: OnWritten = nobody_listens,
    processes: int = 0,
) -> Shards:
    """Open shards, making them if they are not there; close them yourself."""
    places, slots = _stores(where).make(count), SlotMap.even(count)
    return opening.open_shards(places, slots, clock or Clock(), on_owed, on_written, processes)


@contextmanager
def shards_in(
    where: Path | Stores, count: int = 1, clock: Callable[[], int] | None = None
) -> Iterator[Shards]:
    """Open shards for a while."""
    shards = open_shards(where, count, clock)
    try:
        yield shards
    finally:
        shards.close()


@contextmanager
def held_shard(where: Path | Stores) -> Iterator[tuple[Shard, HeldStore]]:
    """Open one shard whose commits wait until `let_go` is set."""
    [place] = _stores(where).make()
    store = HeldStore(place.open_store())
    slots = ShardPlace(0, SlotMap.even(1))
    shard = Shard(slots, store, place.open_reader(), Clock(), lambda shard: None)
    try:
        yield shard, store
    finally:
        store.let_go.set()
        shard.close()


def written_here(shards: Shards, shard: int) -> Shard:
    """Give a shard that this process writes."""
    found = shards.shard(shard)
    assert isinstance(found, Shard)
    return found


def open_reader(where: Path | Stores, shard: int = 0) -> Reader:
    """Open a reader of one shard."""
    return _stores(where).addresses(shard + 1)[shard].open_reader()


def verify_shards(where: Path | Stores, count: int = 1) -> Report:
    """Verify the shards of a place."""
    places = _stores(where).addresses(count)
    return verify(lambda: [place.open_reader() for place in places], SlotMap.even(count))


def _stores(where: Path | Stores) -> Stores:
    return where if isinstance(where, Stores) else Stores(where)
