"""The store on a real file: what is written is read, durable or not at all, and by the right index.

A disk that is full or broken is a VFS of apsw's below the real one: SQLite gets from it what it
gets from the system.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from kessai.complaint import Complaint
from kessai.money import MAX_AMOUNT
from kessai.v1 import decline_pb2 as d
from server.domain.command import ACCEPTED
from server.ledger.chart import AccountKind, open_account
from server.ledger.transfer import Hold, HoldState
from server.shards.router import shard_path
from server.shards.schema import create_shard
from server.shards.settlement_log import CHAIN_START, log_row
from server.shards.sqlite_reader import SqliteReader
from server.shards.sqlite_store import EXIT_DISK_FAILED, SqliteStore
from server.shards.store import Batch, BookedEntry, OutboxRow, StoreUnavailable
from tests.unit.server.domain.commands import EUR, JPY, NOW_US, PAYMENT, deposit
from tests.unit.server.shards.parts import BOOKS_ID, make_files, open_reader, verify_shards

ANN, BOB = 100_000_001, 100_000_002


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    """The store of a new shard."""
    make_files(tmp_path)
    return SqliteStore(shard_path(tmp_path, 0), 0, BOOKS_ID)


def full_batch() -> Batch:
    """One of everything, with the largest values that there are."""
    batch = Batch()
    first = log_row(1, deposit(ANN, 1), NOW_US, ACCEPTED, CHAIN_START)
    declined = d.DECLINE_REASON_INSUFFICIENT_FUNDS
    batch.rows = [first, log_row(2, deposit(ANN, 2), NOW_US, declined, first.chain_hash)]
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
    batch.outbox = [OutboxRow(1, first.request_id, ANN, 77, 5, EUR, PAYMENT)]
    return batch


def test_what_is_written_is_read(store: SqliteStore, tmp_path: Path) -> None:
    batch = full_batch()
    assert store.begin() == (0, CHAIN_START, 0)
    store.commit(batch)
    assert store.begin() == (2, batch.rows[1].chain_hash, NOW_US)
    ids = [row.request_id for row in batch.rows]
    assert store.rows([*ids, bytes(16)]) == {row.request_id: row for row in batch.rows}
    assert store.accounts([BOB, 5, ANN]) == [batch.accounts[ANN], batch.accounts[BOB]]
    assert {hold.id: hold for hold in store.holds([2**128 - 1, 1, 7])} == batch.holds
    reader = open_reader(tmp_path)
    assert list(reader.log()) == batch.rows
    assert list(reader.all_accounts()) == list(batch.accounts.values())
    assert list(reader.all_entries()) == batch.entries
    assert {hold.id: hold for hold in reader.all_holds()} == batch.holds
    assert reader.outbox(10) == batch.outbox
    assert reader.due_holds(NOW_US - 1, 10) == []
    assert reader.due_holds(NOW_US, 10) == [batch.holds[2**128 - 1]]
    assert reader.recent_request_ids(NOW_US) == ids[::-1]
    assert reader.recent_request_ids(NOW_US + 1) == []
    [total] = reader.totals()
    assert (total.accounts, total.credits_posted) == (2, 2 * MAX_AMOUNT)
    reader.close()
    store.close()


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 9, 513])
def test_any_number_of_ids_can_be_asked_for(store: SqliteStore, count: int) -> None:
    batch = Batch()
    for account_id in range(1, count + 1):
        kind = AccountKind.CUSTOMER
        batch.accounts[account_id] = open_account(account_id, JPY, kind, "wallet/ann", 0)
    store.commit(batch)
    assert len(store.accounts(range(1, count + 1))) == count
    store.close()


def test_accounts_that_hold_money_are_found_in_a_range(store: SqliteStore, tmp_path: Path) -> None:
    """Those with a balance, however large their sums are, from the first to the last id."""
    batch = Batch()
    for account_id, debits, credits in ((1, 0, 9), (2, 0, 9), (3, 9, 9), (4, 8, MAX_AMOUNT)):
        account = open_account(account_id, JPY, AccountKind.MERCHANT, "merchant/shop", 0)
        account.debits_posted, account.credits_posted = debits, credits
        batch.accounts[account_id] = account
    store.commit(batch)
    reader = open_reader(tmp_path)
    assert reader.holding(2, 4, 10) == [batch.accounts[2], batch.accounts[4]]
    assert reader.holding(2, 4, 1) == [batch.accounts[2]]
    assert reader.holding(5, 9, 10) == []
    assert reader.accounts([3, 1, 7]) == [batch.accounts[1], batch.accounts[3]]
    reader.close()
    store.close()


def test_delivered_rows_go_and_later_ones_stay(store: SqliteStore, tmp_path: Path) -> None:
    rows = [OutboxRow(n, bytes((n,)) * 16, ANN, BOB, n, EUR, PAYMENT) for n in (1, 2, 5, 6)]
    store.commit(Batch(outbox=rows))
    store.commit(Batch(delivered_to=4))
    reader = open_reader(tmp_path)
    assert reader.outbox(1) == rows[2:3]
    assert reader.outbox(10) == rows[2:]
    reader.close()
    store.close()


def test_what_fails_half_way_is_not_there(store: SqliteStore) -> None:
    """Neither for others nor for the store itself, and the next commit is not in its way."""
    batch = full_batch()
    twice = Batch(rows=batch.rows[:1], entries=batch.entries[:1] * 2)
    with pytest.raises(apsw.ConstraintError):
        store.commit(twice)
    assert store.rows([batch.rows[0].request_id]) == {}
    assert store.begin() == (0, CHAIN_START, 0)
    store.commit(batch)
    assert store.begin()[0] == 2
    store.close()


def test_a_request_id_is_in_the_log_once_for_ever(store: SqliteStore) -> None:
    """The promise stands in the schema too, if all above it should fail."""
    batch = full_batch()
    store.commit(batch)
    again = Batch(rows=[batch.rows[0]._replace(sequence=3)])
    with pytest.raises(apsw.ConstraintError, match="request_id"):
        store.commit(again)
    store.close()


def test_a_read_only_store_says_so(store: SqliteStore) -> None:
    store._db.pragma("query_only", True)
    with pytest.raises(StoreUnavailable, match=r"0000\.db"):
        store.commit(full_batch())
    store._db.pragma("query_only", False)
    store.commit(full_batch())
    store.close()


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


def test_a_newer_file_is_refused(tmp_path: Path) -> None:
    make_files(tmp_path)
    path = shard_path(tmp_path, 0)
    db = apsw.Connection(str(path))
    db.execute("UPDATE meta SET value = '2' WHERE key = 'version'")
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
