"""Books that releases left behind: they open, verify and serve with today's code, for ever."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import tarfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw
import psycopg
import pytest

from kessai.complaint import Complaint
from kessai.v1.payment_pb2 import PAYMENT_OUTCOME_SETTLED
from kessai.v1.shard_pb2 import SlotMove
from server.bootstrap import Switch
from server.domain.command import CommandKind
from server.identity.authority import Authority
from server.ledger.transfer import HoldState
from server.shards.address import SqliteAddress, addresses
from server.shards.books_file import read_books
from server.shards.entry_digest import PACKED, SHOWN
from server.shards.opening import open_shards
from server.shards.postgres_schema import schema_name
from server.shards.verify import Report, verify
from tests.postgres import PostgresServer, postgres_server
from tests.released import make
from tests.released.cast import DORA, LODGER, counter_in, purchase
from tests.unit.server.domain.commands import deposit, fresh_id
from tests.unit.server.shards.parts import Clock
from tests.unit.server.switch.in_process import CONFIG, DOMAIN

__all__ = ["postgres_server"]

LIMIT_S = 60.0
MERCHANTS = ("shop", "kiosk", "shop")
RELEASED = sorted(path.stem for path in make.FOLDER.glob("*.json"))
KINDS = {
    "schema_2": (
        "OPEN_ACCOUNT", "DEPOSIT_CASH", "WITHDRAW_CASH", "SETTLE_PAYMENT", "ARRIVE", "PLACE_HOLD",
        "CAPTURE_HOLD", "VOID_HOLD", "EXPIRE_HOLD", "OPEN_AUXILIARY", "MERGE_AUXILIARY",
        "REDEEM_TICKET", "REFUND_TICKET", "REVOKE_TICKET", "SETTLE_BILL", "MOVE_OUT", "MOVE_IN",
    ),
    "schema_3": (
        "OPEN_ACCOUNT", "DEPOSIT_CASH", "WITHDRAW_CASH", "SETTLE_PAYMENT", "ARRIVE", "PLACE_HOLD",
        "CAPTURE_HOLD", "VOID_HOLD", "EXPIRE_HOLD", "OPEN_AUXILIARY", "MERGE_AUXILIARY",
        "REDEEM_TICKET", "REFUND_TICKET", "REVOKE_TICKET", "SETTLE_BILL", "MOVE_OUT", "MOVE_IN",
        "FREEZE_ACCOUNT", "UNFREEZE_ACCOUNT", "CLOSE_ACCOUNT", "SETTLE_FARE",
    ),
}  # fmt: skip


@dataclass
class Released:
    """An archive, unpacked, and what must be in it."""

    name: str
    folder: Path
    said: dict[str, Any]

    @property
    def end_us(self) -> int:
        """When its switch was stopped."""
        return int(self.said["end_us"])


def unpack(name: str, place: Path) -> Released:
    """Unpack an archive."""
    folder = place / "data"
    with tarfile.open(make.FOLDER / f"{name}.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return Released(name, folder, json.loads((make.FOLDER / f"{name}.json").read_text()))


@pytest.fixture(params=RELEASED)
def released(request: pytest.FixtureRequest, tmp_path: Path) -> Released:
    """Each released folder in turn."""
    return unpack(request.param, tmp_path)


def verified(folder: Path) -> Report:
    """Verify the books of a folder."""
    books = read_books(folder)
    return verify(lambda: [at.open_reader() for at in books.addresses(folder)], books.slots)


def test_released_books_verify_and_say_what_they_said(released: Released) -> None:
    """Opened for reading only: balances, rows, holds and hashes are as they were left."""
    assert verified(released.folder).faults == []
    assert make.contents(released.folder, released.end_us) == released.said


def test_every_kind_of_its_release_is_in_it(released: Released) -> None:
    assert set(released.said["kinds"]) == set(KINDS[released.name])


def test_the_story_tells_every_kind_of_today(tmp_path: Path) -> None:
    """And so does each archive that is made of it."""
    end_us = make.fill(tmp_path / "data")
    assert verified(tmp_path / "data").faults == []
    told = make.contents(tmp_path / "data", end_us)["kinds"]
    assert set(told) == {kind.name for kind in CommandKind}


async def test_a_switch_serves_on_released_books(released: Released, tmp_path: Path) -> None:
    """Payments are settled, what was owed arrives, what was overdue ends; and all verifies."""
    clock = Clock(released.end_us + 1_000_000)
    Authority.create(released.folder / "identity", tmp_path / "offline", DOMAIN, clock)
    counter = counter_in(released.folder, known=True)
    counter.clock.us = clock.us
    ids = [fresh_id(clock.us) for _ in range(3)]
    messages = [
        purchase(counter, ids[0], 21),
        purchase(counter, ids[1], 22, "kiosk", LODGER),
        purchase(counter, ids[2], 23, "shop", DORA, "dora"),  # where book time is hours ahead
    ]
    counter.directory.close()
    switch = Switch(released.folder, CONFIG, clock, os.urandom, clock)
    await switch.start()
    async with asyncio.timeout(LIMIT_S):
        for request_id, message, merchant in zip(ids, messages, MERCHANTS, strict=True):
            settled = await switch._purchases.settle(message, request_id, merchant, "till-1")
            assert counter.read(settled).outcome == PAYMENT_OUTCOME_SETTLED
        await switch._depositor.idle(LIMIT_S)
        await switch._holds.release_due()
        assert await pending(switch) < sum(shard["pending"] for shard in released.said["shards"])
    await switch.stop()
    report = verified(released.folder)
    assert (report.faults, report.in_transit) == ([], 0)
    assert report.rows > sum(shard["rows"] for shard in released.said["shards"])


async def test_slots_that_a_release_moved_move_on(released: Released, tmp_path: Path) -> None:
    """An account that came with a digest of that release's form is proven in it, for ever."""
    clock = Clock(released.end_us + 1_000_000)
    Authority.create(released.folder / "identity", tmp_path / "offline", DOMAIN, clock)
    counter_in(released.folder, known=True).directory.close()
    switch = Switch(released.folder, CONFIG, clock, os.urandom, clock)
    await switch.start()
    count, mover = len(switch._shards), switch._rebalance._mover
    async with asyncio.timeout(LIMIT_S):
        for number in range(count):
            moved = await switch._shards.shard(number).read(lambda reader: reader.moved())
            for slot in [m.slot for m in moved if m.shard == number]:
                await mover.move(slot, (number + 1) % count)
                await mover.move(slot, number)
    await switch.stop()
    assert (SHOWN if released.name == "schema_2" else PACKED) in forms_of(released.folder)
    assert verified(released.folder).faults == []


def forms_of(folder: Path) -> set[int]:
    """In which forms the digests are with which slots came last."""
    forms = set[int]()
    for address in read_books(folder).addresses(folder):
        with closing(address.open_reader()) as reader:
            rows = [reader.row(m.move_id) for m in reader.moved() if m.shard == address.shard]
        moves = [SlotMove.FromString(row.body) for row in rows if row is not None]
        forms |= {a.digest_version for move in moves for a in move.accounts if a.entry_digest}
    return forms


def test_a_schema_of_version_2_is_read_and_then_upgraded(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    """By whoever writes first, of two that start at once; the old rows stay as they are."""
    released = unpack("schema_2", tmp_path)
    books, books_id = read_books(released.folder), secrets.token_hex(8)
    [*places] = addresses([postgres_server.url] * books.shards, released.folder, books_id)
    for here, there in zip(books.addresses(released.folder), places, strict=True):
        assert isinstance(here, SqliteAddress)
        copy_shard(here, postgres_server.url, schema_name(there.shard, books_id), books_id)
    try:
        assert verify(lambda: [at.open_reader() for at in places], books.slots).faults == []
        with ThreadPoolExecutor() as pool:
            stores = list(pool.map(lambda at: at.open_store(), places * 2))
        for store in stores:
            store.close()
        shards = open_shards(places, books.slots, Clock(released.end_us), lambda shard: None)
        with asyncio.Runner() as runner:
            row = runner.run(shards.submit(deposit(DORA, 5, request_id=fresh_id(released.end_us))))
        shards.close()
        assert (row.version, row.decide_us) == (2, released.end_us)
        assert row.decide_us < row.book_us
        assert verify(lambda: [at.open_reader() for at in places], books.slots).faults == []
    finally:
        for place in places:
            place.remove()


def copy_shard(here: SqliteAddress, url: str, schema: str, books_id: str) -> None:
    """Copy a released file to a schema as that release made it."""
    with psycopg.connect(url) as db:
        db.execute(f"CREATE SCHEMA {schema}")
        db.execute(f"SET search_path = {schema}")
        db.execute((make.FOLDER / "postgres_schema_2.sql").read_bytes())
        file = apsw.Connection(str(here.path), flags=apsw.SQLITE_OPEN_READONLY)
        for (table,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'table'"):
            for row in file.execute(f"SELECT * FROM {table}"):
                marks = ", ".join(["%s"] * len(row))
                db.execute(f"INSERT INTO {table} VALUES ({marks})".encode(), row)
        file.close()
        db.execute("UPDATE meta SET value = %s WHERE key = 'books'", (books_id,))


@pytest.mark.parametrize("version", ["1", "4"])
def test_other_versions_are_refused(version: str, tmp_path: Path) -> None:
    """A newer one above all: whatever it says would be lost on this release."""
    [address, *_] = read_books(unpack("schema_2", tmp_path).folder).addresses(tmp_path / "data")
    assert isinstance(address, SqliteAddress)
    db = apsw.Connection(str(address.path))
    db.execute("UPDATE meta SET value = ? WHERE key = 'version'", (version,))
    db.close()
    for open_it in (address.open_store, address.open_reader):
        with pytest.raises(Complaint, match=f'its version is "{version}", expected "3"'):
            open_it()


def test_a_file_is_upgraded_once_and_whole(tmp_path: Path) -> None:
    """And not at all by who only reads."""
    folder = unpack("schema_2", tmp_path).folder
    [address, *_] = read_books(folder).addresses(folder)
    assert isinstance(address, SqliteAddress)

    def state() -> tuple[object, ...]:
        db = apsw.Connection(str(address.path))
        [(version,)] = db.execute("SELECT value FROM meta WHERE key = 'version'")
        columns = list(db.execute("SELECT name FROM pragma_table_info('log')"))
        db.close()
        return version, len(columns)

    address.open_reader().close()
    assert state() == ("2", 12)
    for _ in range(2):
        address.open_store().close()
        assert state() == ("3", 14)


async def pending(switch: Switch) -> int:
    """How many holds are pending."""
    shards = [switch._shards.shard(number) for number in range(len(switch._shards))]
    holds = [await shard.read(lambda reader: list(reader.all_holds())) for shard in shards]
    return sum(hold.state is HoldState.PENDING for found in holds for hold in found)
