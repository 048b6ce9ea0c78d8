"""Shards on PostgreSQL: two switches at one shard, holders that die, servers that stop.

What every engine must do is in `test_store.py`; here is what only a server far away can do to us.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from kessai.complaint import Complaint
from server.domain.command import ACCEPTED, Command
from server.shards import postgres_schema
from server.shards.opening import open_shards as open_at
from server.shards.placement import SlotMap
from server.shards.postgres_reader import PostgresReader
from server.shards.postgres_store import PostgresStore
from server.shards.router import Shards
from server.shards.settlement_log import LogRow
from server.shards.store import Batch, StoreUnavailable
from server.shards.verify import verify
from tests.postgres import PostgresServer
from tests.unit.server.domain.commands import accounts_on, deposit, open_account, pay
from tests.unit.server.shards.half_line import HalfLine
from tests.unit.server.shards.parts import (
    BOOKS_ID,
    LIMIT_S,
    Clock,
    Stores,
    open_reader,
    open_shards,
    shards_in,
    verify_shards,
)

ANN, SHOP = (account for account, _ in zip(accounts_on(0, 1), range(2), strict=False))
OPENING: list[Command] = [open_account(ANN), open_account(SHOP, "merchant/s"), deposit(ANN, 1000)]
HOLDER = """
import sys
from server.shards.postgres_store import PostgresStore
store = PostgresStore(sys.argv[1], 0, sys.argv[2])
store.begin()
print("holds the shard", flush=True)
sys.stdin.read()
"""

on_postgres = pytest.mark.parametrize("stores", ["postgresql"], indirect=True)


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """Give a server that the test may stop."""
    server = PostgresServer.create()
    yield server
    server.remove()


async def settle(shards: Shards, command: Command) -> LogRow:
    """Submit as a client does: again under the same id while the store is not available."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            try:
                return await shards.submit(command)
            except StoreUnavailable:
                await asyncio.sleep(0.02)


async def balance(shards: Shards, account_id: int) -> int:
    """Read a balance, again while the store is not available."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            try:
                account = await shards.account(account_id)
            except StoreUnavailable:
                await asyncio.sleep(0.02)
            else:
                return account.balance if account else 0


@on_postgres
async def test_two_switches_share_a_shard(stores: Stores) -> None:
    """Each decides on what the other wrote: nobody spends twice, and there is one chain."""
    one, other = open_shards(stores), open_shards(stores)
    for command in OPENING:
        await one.submit(command)
    payments = [pay(ANN, SHOP, 15) for _ in range(100)]
    rows = []
    for first in range(0, 100, 10):
        # By turns, then at once; so each is out of date again and again.
        ten = payments[first : first + 10]
        rows += [await (one, other)[n % 2].submit(ten[n]) for n in range(4)]
        both = zip(ten[4:], [one, other] * 3, strict=True)
        rows += await asyncio.gather(*(shards.submit(payment) for payment, shards in both))
    assert sum(row.decline == ACCEPTED for row in rows) == 66
    assert [await other.submit(payment) for payment in payments] == rows
    one.close()
    other.close()
    report = verify_shards(stores)
    assert (report.faults, report.rows) == ([], 103)


@on_postgres
async def test_a_holder_that_dies_frees_the_shard(stores: Stores) -> None:
    """SIGKILL in the middle of its group; the next one waits no longer than for that."""
    with shards_in(stores) as shards:
        await shards.submit(OPENING[0])
        holder = await asyncio.create_subprocess_exec(
            sys.executable, "-c", HOLDER, stores.urls[0], stores.books_id,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[4],
        )  # fmt: skip
        assert holder.stdout is not None
        assert await holder.stdout.readline() == b"holds the shard\n"
        waiting = asyncio.ensure_future(shards.submit(OPENING[1]))
        done, _ = await asyncio.wait([waiting], timeout=0.3)
        assert not done
        holder.kill()
        async with asyncio.timeout(LIMIT_S):
            assert (await waiting).sequence == 2
        await holder.wait()


async def test_a_server_that_stops_loses_nothing(
    own_server: PostgresServer, tmp_path: Path
) -> None:
    """Stopped, then crashed, under load: unavailable meanwhile, and all goes on by itself."""
    stores = Stores(tmp_path, (own_server.url,))
    shards = open_shards(stores)
    for command in OPENING:
        await shards.submit(command)
    answered = asyncio.Event()

    async def keep_paying() -> list[LogRow]:
        rows = []
        for _ in range(40):
            rows.append(await settle(shards, pay(ANN, SHOP, 1)))
            answered.set()
        return rows

    tasks = [asyncio.create_task(keep_paying()) for _ in range(10)]
    for end in (own_server.stop, own_server.crash):
        answered.clear()
        await answered.wait()
        end()
        with pytest.raises(StoreUnavailable):
            await shards.submit(deposit(ANN, 1))
        with pytest.raises(StoreUnavailable):
            await shards.account(ANN)
        own_server.start()
    rows = [row for rows in await asyncio.gather(*tasks) for row in rows]
    assert len({row.sequence for row in rows}) == 400
    assert await balance(shards, SHOP) == 400
    shards.close()
    reader = open_reader(stores)
    kept = {row.request_id: row for row in reader.log()}
    assert all(kept[row.request_id] == row for row in rows)
    reader.close()
    assert verify_shards(stores).faults == []


@on_postgres
@pytest.mark.parametrize("reaches", [True, False], ids=["committed", "not committed"])
async def test_a_commit_whose_answer_is_lost(
    stores: Stores, postgres_server: PostgresServer, reaches: bool
) -> None:
    """The outcome is unknown; the shard finds out, and asking again gives one effect."""
    stores.make()
    line = HalfLine(postgres_server)
    [through] = Stores(stores.folder, (line.url,), stores.books_id).addresses(1)
    shards = open_at([through], SlotMap.even(1), Clock(), lambda shard: None)
    for command in OPENING:
        await shards.submit(command)
    payment = pay(ANN, SHOP, 10)
    line.break_at_commit(reaches=reaches)
    with pytest.raises(StoreUnavailable):
        await shards.submit(payment)
    reader = open_reader(stores)
    assert (reader.row(payment.request_id) is not None) == reaches
    # The next group is decided on what there is, not on what was thought to be there.
    other = await settle(shards, pay(ANN, SHOP, 1))
    row = await settle(shards, payment)
    assert (row.sequence, other.sequence) == ((4, 5) if reaches else (5, 4))
    assert reader.row(payment.request_id) == row
    reader.close()
    shards.close()
    line.close()
    assert verify_shards(stores).faults == []


@on_postgres
def test_nothing_is_written_outside_of_a_group(stores: Stores) -> None:
    """A transaction that is gone, for whatever reason, is noticed before the first row."""
    stores.make()
    store = PostgresStore(stores.urls[0], 0, stores.books_id)
    with pytest.raises(StoreUnavailable, match="gone"):
        store.commit(Batch(delivered_to=1))
    store.begin()
    store.abandon()
    with pytest.raises(StoreUnavailable, match="gone"):
        store.commit(Batch(delivered_to=1))
    store.close()


@on_postgres
def test_a_server_that_forgets_is_refused(stores: Stores) -> None:
    """synchronous_commit off, for the role, the database or the session."""
    stores.make()
    url = f"{stores.urls[0]}&options=-c%20synchronous_commit%3Doff"
    for opening in (PostgresStore, PostgresReader):
        with pytest.raises(Complaint, match="synchronous_commit = off"):
            opening(url, 0, stores.books_id)
    with pytest.raises(Complaint, match="synchronous_commit = off"):
        postgres_schema.create_shard(url, 1, stores.books_id)


def test_a_server_without_fsync_is_refused() -> None:
    server = PostgresServer.create("fsync = off")
    try:
        with pytest.raises(Complaint, match="fsync = off"):
            postgres_schema.create_shard(server.url, 0, BOOKS_ID)
    finally:
        server.remove()


@on_postgres
def test_a_server_without_checksums_is_told_of(stores: Stores) -> None:
    """As initdb made servers before PostgreSQL 18; one that has them gives no warning."""
    [address] = stores.make()
    with psycopg.connect(stores.urls[0]) as db:
        [has] = db.execute("SHOW data_checksums").fetchone() or ("",)
    assert ("data_checksums = off" in address.prepare()) == (has == "off")


@on_postgres
async def test_a_server_that_only_reads_says_so(stores: Stores) -> None:
    """Such as one that became a standby; when it may write again, all goes on."""
    with shards_in(stores) as shards:
        await shards.submit(OPENING[0])
        with psycopg.connect(stores.urls[0], autocommit=True) as db:
            db.execute("ALTER ROLE postgres SET default_transaction_read_only = on")
            db.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                f"WHERE application_name LIKE '%{stores.books_id}%'"
            )
            with pytest.raises(StoreUnavailable, match="read-only"):
                await shards.submit(OPENING[1])
            db.execute("SET default_transaction_read_only = off")
            db.execute("ALTER ROLE postgres RESET default_transaction_read_only")
        assert (await settle(shards, OPENING[1])).sequence == 2
    assert verify_shards(stores).faults == []


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://teller:hush@127.0.0.1:1/bank", "127.0.0.1:1/bank, cannot be reached"),
        ("postgresql://teller:hush@nowhere.invalid/bank", "nowhere.invalid/bank, cannot be"),
        ("postgresql://teller@127.0.0.1:1/bank?password=hush", "127.0.0.1:1/bank, cannot be"),
        ("postgresql://teller:hu%sh@127.0.0.1/bank", "cannot be read"),
        ("postgresql://teller:hush@127.0.0.1/bank?hush", "cannot be read"),
    ],
)
def test_an_address_that_leads_nowhere_is_named_without_its_password(url: str, says: str) -> None:
    [place] = Stores(Path(), (url,)).addresses(1)
    for opening in (place.open_store, place.open_reader):
        with pytest.raises(Complaint) as complaint:
            opening()
        assert says in str(complaint.value)
        for text in (str(complaint.value), repr(place)):
            assert "hush" not in text
            assert "hu%sh" not in text
            assert "\n" not in text


@on_postgres
def test_another_shard_or_none_is_refused(stores: Stores) -> None:
    """A schema that is not there, one of other books under this name, and a newer one."""
    stores.make()
    url, books_id = stores.urls[0], stores.books_id
    with pytest.raises(Complaint, match=r"shard 1 is not at .*_0001"):
        PostgresStore(url, 1, books_id)
    schema = postgres_schema.schema_name(0, books_id)
    for key, other in (("books", "other"), ("shard", "7"), ("version", "99")):
        with psycopg.connect(url) as db:
            before = db.execute(f"SELECT value FROM {schema}.meta WHERE key = %s", (key,))
            [value] = before.fetchone() or ("",)
            put = f"UPDATE {schema}.meta SET value = %s WHERE key = %s"
            db.execute(put, (other, key))
            db.commit()
            with pytest.raises(Complaint, match=f'its {key} is "{other}"'):
                PostgresReader(url, 0, books_id)
            db.execute(put, (value, key))


async def test_verifying_needs_the_server(own_server: PostgresServer, tmp_path: Path) -> None:
    """A server that goes away while the log is walked is no fault of the books."""
    stores = Stores(tmp_path, (own_server.url,))
    with shards_in(stores) as shards:
        for command in [*OPENING, *(pay(ANN, SHOP, 1) for _ in range(20))]:
            await shards.submit(command)
    readers = [place.open_reader() for place in stores.make()]
    own_server.crash()
    with pytest.raises(StoreUnavailable):
        verify(lambda: readers, SlotMap.even(1))
