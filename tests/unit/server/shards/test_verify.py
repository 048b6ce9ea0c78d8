"""Verifying the books: whatever is altered in a shard file is found; good books pass."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import apsw
import pytest

from kessai.complaint import Complaint
from server.domain.arrival import arrival
from server.domain.command import Command
from server.shards.columns import LOG_COLUMNS
from server.shards.jobs import Delivered
from server.shards.schema import create_shard
from server.shards.settlement_log import CHAIN_START, LogRow, chain
from tests.running import shard_path
from tests.unit.server.domain.commands import (
    EUR,
    JPY,
    PAYMENT,
    accounts_on,
    capture,
    deposit,
    fresh_id,
    open_account,
    pay,
    place_hold,
    void,
    withdraw,
)
from tests.unit.server.shards.parts import BOOKS_ID, shards_in, verify_shards

ANN, SHOP, YEN = (a for a, _ in zip(accounts_on(0, 2), range(3), strict=False))
FAR, UNKNOWN = (a for a, _ in zip(accounts_on(1, 2), range(2), strict=False))
HELD, TAKEN, GIVEN_UP = place_hold(ANN, SHOP, 7, 60), place_hold(ANN, FAR, 5), place_hold(
    ANN, SHOP, 3
)  # fmt: skip
COMMANDS: list[Command] = [
    open_account(ANN),
    open_account(SHOP, "merchant/shop"),
    open_account(YEN, "wallet/ann", JPY),
    open_account(FAR, "merchant/far"),
    deposit(ANN, 1000),
    deposit(YEN, 500, JPY),
    withdraw(ANN, 100),
    pay(ANN, SHOP, 1),
    pay(ANN, SHOP, 5000),
    HELD, TAKEN, GIVEN_UP,
    capture(TAKEN, 4),
    void(GIVEN_UP),
    pay(ANN, FAR, 10),
    pay(ANN, UNKNOWN, 20),
    pay(ANN, FAR, 30),
]  # fmt: skip
NOT_DELIVERED = 1
EDITS = {
    "log": {
        "request_id": "randomblob(16)", "kind": "kind + 1", "input_hash": "randomblob(32)",
        "payer": "payer + 1", "payee": "payee + 1", "amount": "amount + 1",
        "ledger": "ledger + 1", "book_us": "book_us + 1", "decline": "decline + 1",
        "body": "body || x'00'", "chain_hash": "randomblob(32)", "sequence": "sequence + 100",
        "version": "version - 1", "decide_us": "decide_us + 1",
    },
    "entry": {
        "account": "account + 1000", "sequence": "sequence + 100", "amount": "amount + 1",
        "balance": "balance + 1", "counterparty": "counterparty + 1", "code": "code + 1",
        "book_us": "book_us + 1", "request_id": "randomblob(16)",
        "log_sequence": "log_sequence + 1",
    },
    "account": {
        "id": "id + 5000", "ledger": "ledger + 1", "code": "code + 1", "flags": "flags + 2",
        "owner": "owner || 'a'", "open_us": "open_us + 1",
        "debits_pending": "debits_pending + 1", "debits_posted": "debits_posted + 1",
        "credits_pending": "credits_pending + 1", "credits_posted": "credits_posted + 1",
        "sequence": "sequence + 1",
    },
    "hold": {
        "id": "randomblob(16)", "debit_account_id": "debit_account_id + 1",
        "credit_account_id": "credit_account_id + 1", "amount": "amount + 1",
        "ledger": "ledger + 1", "code": "code + 1", "expire_us": "expire_us + 1",
        "far_account": "far_account + 1", "state": "state % 4 + 1",
        "finish_id": "randomblob(16)",
    },
    "outbox": {
        "log_sequence": "log_sequence + 100", "request_id": "randomblob(16)",
        "payer": "payer + 1", "payee": "payee + 1", "amount": "amount + 1",
        "ledger": "ledger + 1", "code": "code + 1",
    },
}  # fmt: skip
COPY_OF_THE_LAST = {
    "log": "INSERT INTO log SELECT sequence + 1, randomblob(16), kind, input_hash, payer, payee,"
    " amount, ledger, book_us, decline, body, chain_hash, version, decide_us FROM log"
    " ORDER BY sequence DESC LIMIT 1",
    "entry": "INSERT INTO entry SELECT account, sequence + 1, amount, balance, counterparty, code,"
    " book_us, request_id, log_sequence FROM entry ORDER BY account, sequence DESC LIMIT 1",
    "account": "INSERT INTO account SELECT max(id) + 1, ledger, code, flags, owner, open_us, 0, 0,"
    " 0, 0, 0 FROM account LIMIT 1",
    "hold": "INSERT INTO hold SELECT randomblob(16), debit_account_id, credit_account_id, amount,"
    " ledger, code, expire_us, far_account, state, finish_id FROM hold LIMIT 1",
    "outbox": "INSERT INTO outbox SELECT log_sequence - 100, request_id, payer, payee, amount,"
    " ledger, code FROM outbox LIMIT 1",
}


@pytest.fixture(scope="module")
def good_books(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two shards with some of everything; all but one of the debts were delivered."""
    folder = tmp_path_factory.mktemp("books")

    async def fill() -> None:
        with shards_in(folder, 2) as shards:
            for command in COMMANDS:
                await shards.submit(command)
            owed = (await shards.outbox(0, 100))[:-NOT_DELIVERED]
            for debt in owed:
                await shards.submit(arrival(0, *debt))
            await shards.shard(0).submit(Delivered(owed[-1].log_sequence))

    asyncio.run(fill())
    return folder


@pytest.fixture
def books(good_books: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return shutil.copytree(good_books, tmp_path / "books")


@contextmanager
def file_of(folder: Path, shard: int = 0) -> Iterator[apsw.Connection]:
    """Open a shard file past everything."""
    db = apsw.Connection(str(shard_path(folder, shard)))
    yield db
    db.close()


def spoil(folder: Path, sql: str, shard: int = 0) -> None:
    """Run one statement on a shard file; it must change something."""
    with file_of(folder, shard) as db:
        db.execute(sql)
        assert db.total_changes() > 0


def value_of(db: apsw.Connection, sql: str, *values: int) -> Any:  # noqa: ANN401
    """Read one value."""
    row = db.execute(sql, values).fetchone()
    assert row is not None
    return row[0]


def chain_again(db: apsw.Connection) -> None:
    """Compute all chain hashes anew, as a forger does who knows how."""
    before = CHAIN_START
    rows = db.execute(f"SELECT {LOG_COLUMNS} FROM log ORDER BY sequence").fetchall()
    for row in map(LogRow._make, rows):
        before = chain(before, row.content)
        db.execute("UPDATE log SET chain_hash = ? WHERE sequence = ?", (before, row.sequence))


def test_good_books_pass(good_books: Path) -> None:
    report = verify_shards(good_books, 2)
    assert report.faults == []
    assert (report.rows, report.in_transit) == (len(COMMANDS) + 3, NOT_DELIVERED)


@pytest.mark.parametrize(
    ("table", "column"), [(table, column) for table, edits in EDITS.items() for column in edits]
)
def test_an_edit_is_found(books: Path, table: str, column: str) -> None:
    """Each column of each row of each table, one after another."""
    with file_of(books) as db:
        count = value_of(db, f"SELECT count(*) FROM {table}")
    assert count > 0
    key = "rowid" if table in ("log", "account", "outbox") else None
    for position in {0, count // 2, count - 1}:
        copy = shutil.copytree(books, books.with_name(f"copy-{position}"))
        with file_of(copy) as db:
            if key is None:
                key_columns = "account, sequence" if table == "entry" else "id"
            else:
                key_columns = key
            where = (
                f"WHERE ({key_columns}) = (SELECT {key_columns} FROM {table} "
                f"ORDER BY {key_columns} LIMIT 1 OFFSET {position})"
            )
            db.execute(f"UPDATE {table} SET {column} = {EDITS[table][column]} {where}")
            assert db.changes() == 1
        assert verify_shards(copy, 2).faults, position


@pytest.mark.parametrize("table", EDITS)
@pytest.mark.parametrize("end", ["ASC", "DESC"])
def test_a_deleted_row_is_found(books: Path, table: str, end: str) -> None:
    keys = {"entry": "account, sequence", "hold": "id"}.get(table, "rowid")
    spoil(
        books,
        f"DELETE FROM {table} WHERE ({keys}) = "
        f"(SELECT {keys} FROM {table} ORDER BY {keys.replace(',', f' {end},')} {end} LIMIT 1)",
    )
    assert verify_shards(books, 2).faults


@pytest.mark.parametrize("table", EDITS)
def test_an_inserted_row_is_found(books: Path, table: str) -> None:
    spoil(books, COPY_OF_THE_LAST[table])
    assert verify_shards(books, 2).faults


def test_swapped_rows_are_found(books: Path) -> None:
    for sql in (
        "UPDATE log SET sequence = 999 WHERE sequence = 4",
        "UPDATE log SET sequence = 4 WHERE sequence = 5",
        "UPDATE log SET sequence = 5 WHERE sequence = 999",
    ):
        spoil(books, sql)
    assert verify_shards(books, 2).faults


@pytest.mark.parametrize("step", [-1, 1, 2**61 - 1, -(2**61) + 1])
def test_no_other_amount_looks_the_same(books: Path, step: int) -> None:
    """Such as -2 for -1, which are one and the same to Python's hash()."""
    spoil(books, f"UPDATE entry SET amount = amount + {step} WHERE amount = -1")
    assert verify_shards(books, 2).faults


def test_a_flipped_bit_of_a_document_is_found(books: Path, random_seed: int) -> None:
    random = Random(random_seed)
    with file_of(books) as db:
        rows = value_of(db, "SELECT count(*) FROM log")
    for _ in range(25):
        sequence, bit = random.randrange(rows) + 1, 1 << random.randrange(8)
        with file_of(books) as db:
            body = value_of(db, "SELECT body FROM log WHERE sequence = ?", sequence)
            position = random.randrange(len(body))
            flipped = body[:position] + bytes((body[position] ^ bit,)) + body[position + 1 :]
            put = "UPDATE log SET body = ? WHERE sequence = ?"
            db.execute(put, (flipped, sequence))
        assert verify_shards(books, 2).faults, (sequence, position, bit)
        with file_of(books) as db:
            db.execute(put, (body, sequence))
    assert verify_shards(books, 2).faults == []


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE account SET flags = 'none'",
        "UPDATE account SET owner = x'ff'",
        "UPDATE entry SET amount = 'much'",
        "UPDATE hold SET state = 9",
        "UPDATE hold SET id = x'00' WHERE id = (SELECT max(id) FROM hold)",
        "UPDATE log SET payer = -1",
        "UPDATE log SET ledger = 10000000",
        "UPDATE log SET book_us = 'yesterday'",
        "UPDATE log SET request_id = x'' WHERE sequence = 9",
        "UPDATE log SET kind = 5",
        "DROP TABLE outbox",
        "DELETE FROM log",
    ],
)
@pytest.mark.parametrize("shard", [0, 1])
def test_nonsense_is_a_fault_and_no_crash(books: Path, sql: str, shard: int) -> None:
    with file_of(books, shard) as db:
        db.execute(sql)
        changed = db.total_changes() > 0 or sql.startswith("DROP")
    assert bool(verify_shards(books, 2).faults) == changed


def test_swapped_files_are_refused(books: Path) -> None:
    one, other = shard_path(books, 0), shard_path(books, 1)
    one.rename(books / "aside")
    other.rename(one)
    (books / "aside").rename(other)
    with pytest.raises(Complaint, match='its shard is "1"'):
        verify_shards(books, 2)
    for shard in (0, 1):
        spoil(books, f"UPDATE meta SET value = '{shard}' WHERE key = 'shard'", shard)
    assert verify_shards(books, 2).faults


def test_an_older_copy_of_one_shard_is_found(books: Path) -> None:
    """What the other shards remember gives it away."""
    shard_path(books, 1).unlink()
    create_shard(shard_path(books, 1), 1, BOOKS_ID)
    assert verify_shards(books, 2).faults


FORGERIES: dict[str, Callable[[], Command]] = {
    "money from nowhere": lambda: arrival(0, 999, fresh_id(), ANN, FAR, 50, EUR, PAYMENT),
    "money of a declined payment": lambda: arrival(
        0, 9, COMMANDS[8].request_id, ANN, FAR, 5, EUR, PAYMENT
    ),
    "money of an accepted one on its own shard": lambda: arrival(
        0, 8, COMMANDS[7].request_id, ANN, FAR, 1, EUR, PAYMENT
    ),
    "money of no shard": lambda: arrival(500, 1, fresh_id(), ANN, FAR, 5, EUR, PAYMENT),
    "more than was owed": lambda: arrival(
        0, 17, COMMANDS[-1].request_id, ANN, FAR, 31, EUR, PAYMENT
    ),
}


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_an_arrival_that_nobody_owed_is_found(books: Path, forgery: str) -> None:
    """Even when chain, entries and balances of its shard are all in order."""
    with shards_in(books, 2) as shards:
        row = await shards.submit(FORGERIES[forgery]())
        assert row.decline == 0
    assert verify_shards(books, 2).faults


@pytest.mark.parametrize("change", ["amount = 2", "payer = payee, payee = payer", "ledger = 392"])
def test_a_forger_who_chains_again_is_found_by_the_documents(books: Path, change: str) -> None:
    """The signed documents say what was agreed; the columns cannot be turned against them."""
    with file_of(books) as db:
        db.execute(f"UPDATE log SET {change} WHERE kind = 4 AND amount = 1")
        assert db.total_changes() == 1
        chain_again(db)
    faults = verify_shards(books, 2).faults
    assert any("not what its documents say" in fault for fault in faults)
