"""Adding shards: once for each request, also after a kill half way; and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kessai.account_number import slot_of
from server.domain.command import ACCEPTED
from server.identity.refusals import Exists, FieldRefused
from server.shards.address import sqlite_urls
from server.shards.allowed_places import AllowedPlaces
from server.shards.books_file import Books, read_books, write_books
from server.shards.opening import ShardOpener, open_with
from server.shards.placement import SlotMap
from server.shards.remote_shard import RemoteShard
from server.shards.router import Shards
from server.switch.more_shards import MoreShards
from server.switch.shard_status import shard_states
from server.switch.slot_move import SlotMover
from tests.unit.server.domain.commands import accounts_on, deposit, fresh_id, open_account
from tests.unit.server.shards.parts import BOOKS_ID, Clock, Stores

NEW = "sqlite:///shards/new.db"
NO_SERVER = "127.0.0.1:1"
SLOTS = SlotMap.even(2)


@dataclass
class Desk:
    """A folder with two shards, and the desk where more are added."""

    folder: Path
    shards: Shards
    more: MoreShards
    heard: list[int] = field(default_factory=list)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Give a desk on files."""
    Stores(tmp_path).make(2)
    write_books(tmp_path, Books(BOOKS_ID, tuple(sqlite_urls(2)), SLOTS))
    opener = ShardOpener(SLOTS, Clock(), lambda shard: None)
    shards = open_with(opener, read_books(tmp_path).addresses(tmp_path))
    heard: list[int] = []
    places = AllowedPlaces(tmp_path, servers=(NO_SERVER,))
    yield Desk(tmp_path, shards, MoreShards(tmp_path, shards, opener, places, heard.append), heard)
    shards.close()


async def test_a_request_adds_one_shard(desk: Desk) -> None:
    """The same again adds nothing; another one another shard."""
    request_id = fresh_id()
    assert [await desk.more.add(NEW, request_id) for _ in range(2)] == [2, 2]
    assert await desk.more.add("sqlite:///shards/more.db", fresh_id()) == 3
    assert (len(desk.shards), desk.heard) == (4, [2, 3])
    books = read_books(desk.folder)
    assert (books.shards, books.slots) == (4, SLOTS)
    with pytest.raises(Exists):
        await desk.more.add("sqlite:///shards/else.db", request_id)
    states = await shard_states(desk.folder, desk.shards)
    assert [state.slots for state in states] == [512, 512, 0, 0]


async def test_what_is_added_is_written_by_the_processes_too(tmp_path: Path) -> None:
    """At once, beside the shards that they write already; also on a second try."""
    Stores(tmp_path).make(1)
    slots, owing = SlotMap.even(1), list[int]()
    write_books(tmp_path, Books(BOOKS_ID, tuple(sqlite_urls(1)), slots))
    opener = ShardOpener(slots, Clock(), owing.append)
    shards = open_with(opener, read_books(tmp_path).addresses(tmp_path), processes=1)
    try:
        places = AllowedPlaces(tmp_path)
        more = MoreShards(tmp_path, shards, opener, places, lambda shard: None)
        ann = next(accounts_on(0, 1))
        assert (await shards.submit(open_account(ann))).decline == ACCEPTED
        assert await more.add(NEW, fresh_id()) == 1
        assert isinstance(shards.shard(1), RemoteShard)
        opener.open(read_books(tmp_path).addresses(tmp_path)[1])[0]._reading.close()
        await SlotMover(shards, fresh_id).move(slot_of(ann), 1)
        assert (await shards.submit(deposit(ann, 5))).decline == ACCEPTED
        account = await shards.account(ann)
        assert account is not None
        assert account.balance == 5
    finally:
        shards.close()


async def test_a_plan_is_kept_when_a_shard_is_added(desk: Desk) -> None:
    plan = SLOTS.with_range(0, 9, 1)
    write_books(desk.folder, Books(BOOKS_ID, tuple(sqlite_urls(2)), SLOTS, plan))
    await desk.more.add(NEW, fresh_id())
    assert read_books(desk.folder).plan == plan


async def test_an_empty_shard_of_a_killed_call_is_taken(desk: Desk) -> None:
    """It was made, and not yet written down."""
    Books(BOOKS_ID, (*sqlite_urls(2), NEW), SLOTS).addresses(desk.folder)[-1].create()
    assert await desk.more.add(NEW, fresh_id()) == 2


async def test_a_shard_that_is_not_empty_is_refused(desk: Desk) -> None:
    """As it lies there when books.json was brought back from before it was added."""
    account = next(accounts_on(0, 2))
    assert await desk.more.add(NEW, fresh_id()) == 2
    await desk.shards.shard(2).submit(open_account(account))
    write_books(desk.folder, Books(BOOKS_ID, tuple(sqlite_urls(2)), SLOTS))
    with pytest.raises(Exists, match="not empty"):
        await desk.more.add(NEW, fresh_id())
    assert read_books(desk.folder).shards == 2


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mysql://here", "must begin with"),
        ("sqlite:///shards/0001.db", "same file"),
        ("sqlite:///shards/taken.db", "exists already"),
        (f"postgresql://a:hush@{NO_SERVER}/bank", "cannot be made at"),
        ("sqlite:////var/tmp/elsewhere/new.db", "shard_roots"),
        ("sqlite:///new.db", "shard_roots"),
        ("sqlite:///shards/../identity/new.db", "shard_roots"),
        ("sqlite:///shards/link/new.db", "shard_roots"),
        ("sqlite:///shards/link.db", "shard_roots"),
        ("sqlite:///shards/0001.db-wal", "must end in"),
        ("sqlite:///shards/a\0.db", "cannot be read"),
        ("postgresql://a:hush@127.0.0.1:2/bank", "shard_servers"),
        ("postgresql:///bank", "shard_servers"),
        (f"postgresql://a:hush@{NO_SERVER}/bank?hostaddr=127.0.0.2", "may not set hostaddr"),
        (f"postgresql://a:hush@{NO_SERVER}/bank?passfile=/etc/shadow", "may not set passfile"),
        ("postgresql://a:hush@127.0.0.2/bank?host=127.0.0.1&port=2", "shard_servers"),
    ],
)
async def test_an_address_that_is_none_is_refused(desk: Desk, url: str, says: str) -> None:
    """And nothing is written down."""
    (desk.folder / "shards" / "taken.db").write_bytes(b"x")
    (desk.folder / "elsewhere").mkdir()
    (desk.folder / "shards" / "link").symlink_to(desk.folder / "elsewhere")
    (desk.folder / "shards" / "link.db").symlink_to(desk.folder / "elsewhere" / "new.db")
    before = (desk.folder / "books.json").read_bytes()
    with pytest.raises(FieldRefused, match=says) as refused:
        await desk.more.add(url, fresh_id())
    assert refused.value.field == "url"
    assert "hush" not in str(refused.value)
    assert (desk.folder / "books.json").read_bytes() == before
    assert len(desk.shards) == 2
    assert list((desk.folder / "elsewhere").iterdir()) == []


async def test_a_shard_is_added_below_a_root_of_the_configuration(
    desk: Desk, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Another disk, say."""
    disk = tmp_path_factory.mktemp("disk")
    desk.more._places = AllowedPlaces(desk.folder, roots=(str(disk),))
    assert await desk.more.add(f"sqlite:///{disk}/new.db", fresh_id()) == 2
    assert (disk / "new.db").exists()
