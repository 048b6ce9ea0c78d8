"""The store on a real file: by the right index, on the right file, on a disk that fails.

A disk that is full or broken is a VFS of apsw's below the real one: SQLite gets from it what it
gets from the system.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from kessai.complaint import Complaint
from server.shards import sqlite_store
from server.shards.schema import create_shard
from server.shards.settlement_log import LogRow
from server.shards.sqlite_reader import SqliteReader
from server.shards.sqlite_store import EXIT_DISK_FAILED, SqliteStore
from server.shards.store import Batch, StoreUnavailable
from tests.running import shard_path
from tests.unit.server.domain.commands import NOW_US, accounts_on, deposit, open_account, pay
from tests.unit.server.shards.parts import (
    ANN,
    BOB,
    BOOKS_ID,
    full_batch,
    make_files,
    open_reader,
    shards_in,
    verify_shards,
    written_here,
)


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    """The store of a new shard."""
    make_files(tmp_path)
    return SqliteStore(shard_path(tmp_path, 0), 0, BOOKS_ID)


def test_a_read_only_store_says_so(store: SqliteStore) -> None:
    store._db.pragma("query_only", True)
    with pytest.raises(StoreUnavailable, match=r"0000\.db"):
        store.commit(full_batch())
    store._db.pragma("query_only", False)
    store.commit(full_batch())
    store.close()


def test_a_wal_that_a_reader_keeps_long_is_told_and_gets_short(
    tmp_path: Path, store: SqliteStore, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Nothing of it can be written over while somebody reads an old state; then it is cut."""
    monkeypatch.setattr(sqlite_store, "_TOLD_BYTES", 500_000)
    monkeypatch.setattr(sqlite_store, "_LOOK_EVERY", 1)
    store._db.execute("PRAGMA wal_autocheckpoint = 20")
    store._db.execute("PRAGMA journal_size_limit = 100000")
    reader = SqliteReader(shard_path(tmp_path, 0), 0, BOOKS_ID)
    reader.snapshot()
    wal = tmp_path / "shards" / "0000.db-wal"
    numbers = iter(range(1, 10_000))
    while wal.stat().st_size < 600_000:
        store.commit(Batch(tie=next(numbers)))
    assert "0000.db-wal has 0 MB, because somebody has been reading" in capsys.readouterr().err
    store.commit(Batch(tie=next(numbers)))
    assert capsys.readouterr().err == ""
    reader.close()
    for _ in range(50):
        store.commit(Batch(tie=next(numbers)))
    assert wal.stat().st_size <= 200_000
    store.close()


async def test_want_of_memory_is_waited_out(tmp_path: Path) -> None:
    """It is no fault of a payment: none is declined or refused for it, and each is done later."""
    payer, payee = (a for a, _ in zip(accounts_on(0, 1), range(2), strict=False))
    outcomes: set[object] = set()
    with shards_in(tmp_path) as shards:
        for command in (open_account(payer), open_account(payee), deposit(payer, 100_000)):
            await shards.submit(command)
        for spare_bytes in (0, 500, 1000, *range(2000, 200_000, 20_000)):
            payments = [pay(payer, payee, 1) for _ in range(20)]
            apsw.hard_heap_limit(apsw.memory_used() + spare_bytes)
            try:
                answers = await shards.submit_all(payments)
            finally:
                apsw.hard_heap_limit(0)
            outcomes |= {a.decline if isinstance(a, LogRow) else type(a) for a in answers}
            rows = await shards.submit_all(payments)
            assert {row.decline for row in rows if isinstance(row, LogRow)} == {0}
    assert outcomes == {0, StoreUnavailable}
    assert verify_shards(tmp_path).faults == []


def plans_of(reader: SqliteReader) -> dict[str, list[str]]:
    """The query plan of each statement that a statement page runs."""
    ran: list[str] = []

    def note(cursor: object, sql: str, values: object) -> bool:
        ran.append(sql)
        return True

    reader._db.exec_trace = note
    reader.statement(ANN, 5, 50)
    reader.row(bytes(16))
    reader.outbox(10)
    reader.due_holds(NOW_US, 10)
    reader.accounts([ANN, BOB])
    reader.holding(ANN, BOB, 10)
    reader._db.exec_trace = None
    selects = [sql for sql in ran if sql.startswith("SELECT")]
    plans: dict[str, list[str]] = {}
    for sql in selects:
        values = (1,) * sql.count("?")
        steps = reader._db.execute(f"EXPLAIN QUERY PLAN {sql}", values).fetchall()
        plans[sql] = [str(step[3]) for step in steps]
    return plans


def test_a_statement_is_one_range_read(store: SqliteStore, tmp_path: Path) -> None:
    """Row B11: clustered by account and sequence, no sort and no scan, for every read in use."""
    store.commit(full_batch())
    reader = SqliteReader(shard_path(tmp_path, 0), 0, BOOKS_ID)
    plans = plans_of(reader)
    [entries] = [plan for sql, plan in plans.items() if "FROM entry" in sql]
    assert entries == ["SEARCH entry USING PRIMARY KEY (account=? AND sequence<?)"]
    assert len(plans) == 7
    for plan in plans.values():
        assert not any("TEMP B-TREE" in step for step in plan)
        assert not any("SCAN" in step for step in plan if "outbox" not in step)
    reader.close()
    store.close()


def make_another(path: Path, shard: int, books_id: str) -> None:
    """Put another shard's file in its place."""
    path.unlink()
    create_shard(path, shard, books_id)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda path: path.unlink(), "cannot be read"),
        (lambda path: path.write_bytes(b"no database" * 1000), "cannot be read"),
        (lambda path: path.write_bytes(b""), "cannot be read"),
        (lambda path: (path.unlink(), path.mkdir()), "cannot be read"),
        (lambda path: make_another(path, 1, BOOKS_ID), 'its shard is "1"'),
        (lambda path: make_another(path, 0, "other"), 'its books is "other"'),
    ],
    ids=["missing", "garbage", "empty", "folder", "another shard's", "other books'"],
)
def test_a_file_that_does_not_belong_here_is_refused(
    tmp_path: Path, damage: object, says: str
) -> None:
    """By the writer and the reader alike, in one line, and nothing is made in its place."""
    make_files(tmp_path)
    path = shard_path(tmp_path, 0)
    assert callable(damage)
    damage(path)
    before = sorted(entry.name for entry in path.parent.glob("*.db"))
    for opening in (SqliteStore, SqliteReader):
        with pytest.raises(Complaint) as complaint:
            opening(path, 0, BOOKS_ID)
        assert says in str(complaint.value)
        assert "No money was moved" in str(complaint.value)
        assert "\n" not in str(complaint.value)
    assert sorted(entry.name for entry in path.parent.glob("*.db")) == before


def test_a_writer_opens_beside_a_long_read(tmp_path: Path) -> None:
    """Such as `ledger verify`, which keeps its moment of the file for as long as it takes."""
    make_files(tmp_path)
    path = shard_path(tmp_path, 0)
    reader = SqliteReader(path, 0, BOOKS_ID)
    reader.snapshot()
    store = SqliteStore(path, 0, BOOKS_ID)
    store.commit(full_batch())
    assert reader.last_sequence() == 0
    reader.close()
    store.close()
    assert not path.with_name("0000.db-wal").exists()


def test_a_newer_file_is_refused(tmp_path: Path) -> None:
    make_files(tmp_path)
    path = shard_path(tmp_path, 0)
    db = apsw.Connection(str(path))
    db.execute("UPDATE meta SET value = '999' WHERE key = 'version'")
    db.close()
    with pytest.raises(Complaint, match="version"):
        SqliteStore(path, 0, BOOKS_ID)


TROUBLED_DISK = """
import asyncio, sys
from pathlib import Path
import apsw
from server.shards.store import StoreUnavailable
from tests.unit.server.domain.commands import accounts_on, deposit, open_account
from tests.unit.server.shards.parts import open_shards

folder, trouble = Path(sys.argv[1]), sys.argv[2]
state = {"broken": False}

class File(apsw.VFSFile):
    def xSync(self, flags):
        if state["broken"] and trouble == "sync":
            raise apsw.IOError("the disk is gone")
        super().xSync(flags)

    def xWrite(self, data, offset):
        if state["broken"] and trouble == "write":
            raise apsw.IOError("the disk is gone")
        if state["broken"] and trouble == "full":
            raise apsw.FullError("no space")
        super().xWrite(data, offset)

class Disk(apsw.VFS):
    def __init__(self):
        super().__init__("troubled", "unix", makedefault=True)
    def xOpen(self, name, flags):
        return File("unix", name, flags)

disk = Disk()

async def main():
    shards = open_shards(folder)
    account = next(accounts_on(0, 1))
    await shards.submit(open_account(account))
    await shards.submit(deposit(account, 10))
    print("acknowledged 10", flush=True)
    state["broken"] = True
    for _ in range(2):
        try:
            await shards.submit(deposit(account, 100))
            print("acknowledged 100", flush=True)
        except StoreUnavailable as error:
            print("unavailable:", error, flush=True)
    state["broken"] = False
    await shards.submit(deposit(account, 1))
    print("acknowledged 1", (await shards.account(account)).balance, flush=True)
    shards.close()

asyncio.run(main())
"""


def on_a_troubled_disk(folder: Path, trouble: str) -> subprocess.CompletedProcess[str]:
    """Work on a disk that has a trouble for a while."""
    return subprocess.run(
        [sys.executable, "-c", TROUBLED_DISK, str(folder), trouble],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=Path(__file__).parents[4],
    )


@pytest.mark.parametrize("trouble", ["sync", "write"])
def test_a_failed_write_or_fsync_ends_the_process(tmp_path: Path, trouble: str) -> None:
    """Exit code 74, one line, nothing acknowledged that is not there at the next start."""
    ended = on_a_troubled_disk(tmp_path, trouble)
    assert ended.returncode == EXIT_DISK_FAILED == 74
    assert ended.stdout == "acknowledged 10\n"
    assert ended.stderr.count("\n") == 1
    assert "The switch stops" in ended.stderr
    # What failed was never acknowledged, so it may be there or not; half of it may not.
    reader = open_reader(tmp_path)
    assert [account.balance for account in reader.all_accounts()][-1] in (10, 110)
    reader.close()
    assert verify_shards(tmp_path).faults == []


def test_a_full_disk_refuses_and_then_works_again(tmp_path: Path) -> None:
    """Nothing is acknowledged that was not written; when there is room, all goes on."""
    ended = on_a_troubled_disk(tmp_path, "full")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines() == [
        "acknowledged 10",
        "unavailable: 0000.db: no space",
        "unavailable: 0000.db: no space",
        "acknowledged 1 11",
    ]


async def test_a_full_disk_stops_one_shard_only(tmp_path: Path) -> None:
    """It refuses and says which it is; the other goes on, in the same groups; then both do."""
    with shards_in(tmp_path, 2) as shards:
        full, other = (next(accounts_on(number, 2)) for number in range(2))
        for account in (full, other):
            await shards.submit(open_account(account))
        db = written_here(shards, 0)._store._db  # type: ignore[attr-defined]
        db.pragma("max_page_count", db.pragma("page_count") + 4)
        acknowledged, refused = 0, None
        while refused is None:
            here, there = (shards.submit(deposit(account, 1)) for account in (full, other))
            outcome, row = await asyncio.gather(here, there, return_exceptions=True)
            assert isinstance(row, LogRow)
            refused = outcome if isinstance(outcome, StoreUnavailable) else None
            acknowledged += isinstance(outcome, LogRow)
        assert "0000.db" in str(refused)
        db.pragma("max_page_count", 2**30)
        await shards.submit(deposit(full, 1))
        found = [await shards.account(account) for account in (full, other)]
        balances = [account.balance for account in found if account is not None]
        assert balances == [acknowledged + 1, acknowledged + 1]
    assert verify_shards(tmp_path, 2).faults == []
