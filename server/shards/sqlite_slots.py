"""What a shard on SQLite keeps by slot: who is in it, whether it came or went.

Used by `sqlite_store.py` and `sqlite_reader.py`, within their transactions.
"""

from __future__ import annotations

from collections.abc import Iterable

import apsw

from server.domain.document import Document
from server.ledger.account import Account
from server.shards.columns import (
    ACCOUNT_COLUMNS,
    DOCUMENT_COLUMNS,
    HOLD_COLUMNS,
    MOVED_COLUMNS,
    read_account,
    read_hold,
    resident_values,
)
from server.shards.placement import Moved
from server.shards.store import Batch, Residents

_RESIDENTS = "SELECT account FROM resident WHERE slot = ?"
_ACCOUNTS = f"SELECT {ACCOUNT_COLUMNS} FROM account WHERE id IN ({_RESIDENTS}) ORDER BY id"
_HOLDS = (
    f"SELECT {HOLD_COLUMNS} FROM hold WHERE state = 1 AND debit_account_id IN ({_RESIDENTS}) "
    f"UNION SELECT {HOLD_COLUMNS} FROM hold "
    f"WHERE state = 1 AND credit_account_id IN ({_RESIDENTS}) ORDER BY id"
)

_DOCUMENTS = f"SELECT {DOCUMENT_COLUMNS} FROM document WHERE account IN ({_RESIDENTS}) ORDER BY id"


def read_moved(db: apsw.Connection) -> list[Moved]:
    """List the slots that came or went."""
    sql = f"SELECT {MOVED_COLUMNS} FROM moved ORDER BY slot"
    return [Moved(*row) for row in db.execute(sql)]


def read_accounts(db: apsw.Connection, slot: int) -> list[Account]:
    """List the accounts of a slot, by id."""
    return [read_account(row) for row in db.execute(_ACCOUNTS, (slot,))]


def read_residents(db: apsw.Connection, slot: int) -> Residents:
    """Load all that is in a slot."""
    holds = [read_hold(row) for row in db.execute(_HOLDS, (slot, slot))]
    documents = [Document(*row) for row in db.execute(_DOCUMENTS, (slot,))]
    return Residents(read_accounts(db, slot), holds, documents)


def write_slots(db: apsw.Connection, batch: Batch) -> None:
    """Write what a batch says of slots."""
    many = db.executemany
    if batch.opened:
        many("INSERT INTO resident VALUES (?,?)", resident_values(batch.opened))
    if batch.moved:
        many("INSERT OR REPLACE INTO moved VALUES (?,?,?,?,?,?)", batch.moved)
    if batch.left_accounts:
        many("DELETE FROM account WHERE id = ?", _singly(batch.left_accounts))
        many(
            "DELETE FROM resident WHERE slot = ? AND account = ?",
            resident_values(batch.left_accounts),
        )
    if batch.left_holds:
        many(
            "DELETE FROM hold WHERE id = ?",
            _singly(i.to_bytes(16, "big") for i in batch.left_holds),
        )
    if batch.left_documents:
        many("DELETE FROM document WHERE id = ?", _singly(batch.left_documents))
    if batch.copied:
        many("INSERT OR IGNORE INTO entry VALUES (?,?,?,?,?,?,?,?,?)", batch.copied)
    if batch.swept:
        many("DELETE FROM entry WHERE account = ? AND sequence BETWEEN ? AND ?", batch.swept)


def _singly(values: Iterable[int | bytes]) -> Iterable[tuple[int | bytes]]:
    return ((value,) for value in values)
