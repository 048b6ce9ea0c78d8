"""A switch whose log cannot be written works on: deposits, expiries, calls, and its end."""

from __future__ import annotations

import os
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from server import data_folder
from server.commands.folder import make_folder
from server.domain.arrival import arrival
from server.shards.opening import open_shards
from server.shards.schema import open_shard
from server.shards.sqlite_reader import SqliteReader
from tests.running import RunningSwitch, shard_path
from tests.unit.server.domain.commands import accounts_on, deposit, open_account, pay, place_hold
from tests.unit.server.shards.parts import Clock

SHARDS, LIMIT_S, FREE = 2, 40.0, "127.0.0.1:0"
ANN = next(accounts_on(0, SHARDS))
BOB, SHOP = (a for a, _ in zip(accounts_on(1, SHARDS), range(2), strict=False))
DROPPED = "kessai_log_lines_dropped_total "


async def leave_work(folder: Path) -> None:
    """Ann's payment has come to shard 1, and is owed still; a hold of Bob's there is long due."""
    make_folder(
        folder, shards=SHARDS, listen=FREE, pairing_listen=FREE, metrics_listen=FREE,
    )  # fmt: skip
    books = data_folder.read_books(folder)
    shards = open_shards(books.addresses(folder), books.slots, Clock(), lambda shard: None)
    for command in (
        open_account(ANN),
        open_account(BOB),
        open_account(SHOP, "merchant/shop"),
        deposit(ANN, 1000),
        deposit(BOB, 1000),
        pay(ANN, SHOP, 30),
        place_hold(BOB, SHOP, 400, 60),
    ):
        assert not (await shards.submit(command)).decline
    [debt] = await shards.outbox(0, 9)
    assert not (await shards.submit(arrival(0, *debt))).decline
    shards.close()


@contextmanager
def no_reader() -> Iterator[int]:
    """A pipe whose reader has gone."""
    reading, writing = os.pipe()
    os.close(reading)
    yield writing
    os.close(writing)


@contextmanager
def full_disk() -> Iterator[int]:
    """A disk on which there is no room."""
    with open("/dev/full", "wb") as full:
        yield full.fileno()


@pytest.mark.parametrize("log", [no_reader, full_disk])
async def test_money_arrives_and_holds_expire_without_a_log(
    tmp_path: Path, log: Callable[[], Iterator[int]]
) -> None:
    """A debt is spoilt at first, so that deposits are told of; in the end all is done."""
    folder = tmp_path / "data"
    await leave_work(folder)
    change_debt(folder, 1)
    with log() as stderr:  # type: ignore[attr-defined]
        switch = RunningSwitch.start(folder, stderr=stderr)
    try:
        until(lambda: dropped(switch) >= 4)
        change_debt(folder, -1)
        with (
            closing(SqliteReader(shard_path(folder, 0), 0, books_id(folder))) as here,
            closing(SqliteReader(shard_path(folder, 1), 1, books_id(folder))) as there,
        ):
            until(lambda: not here.outbox(1))
            until(lambda: not there.due_holds(2**62, 1))
            bob, shop = there.account(BOB), there.account(SHOP)
        assert bob is not None
        assert shop is not None
        assert (bob.available, shop.balance) == (1000, 30)
        switch.open_account("wallet/eve", 99_000_001, cash=5)
        switch.stop()
    finally:
        switch.kill()
    switch.verify()


def change_debt(folder: Path, minor: int) -> None:
    """Change the amount of the only debt, whose money has arrived: it cannot be brought again."""
    with closing(open_shard(shard_path(folder, 0), 0, books_id(folder), read_only=False)) as db:
        db.execute("UPDATE outbox SET amount = amount + ?", (minor,))


def books_id(folder: Path) -> str:
    """The id of a folder's books."""
    return data_folder.read_books(folder).id


def dropped(switch: RunningSwitch) -> float:
    """How many lines of its log a switch could not write."""
    url = f"http://{switch.metrics_address}/metrics"
    with urllib.request.urlopen(url, timeout=60) as answer:
        lines: list[str] = answer.read().decode().splitlines()
    return float(next(line for line in lines if line.startswith(DROPPED)).removeprefix(DROPPED))


def until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + LIMIT_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)
