"""What a shard on PostgreSQL keeps by slot: who is in it, whether it came or went.

Used by `postgres_store.py` and `postgres_reader.py`, within their transactions.
"""

from __future__ import annotations

from server.domain.document import Document
from server.ledger.account import Account
from server.shards.columns import (
    ACCOUNT_COLUMNS,
    DOCUMENT_COLUMNS,
    ENTRY_COLUMNS,
    HOLD_COLUMNS,
    MOVED_COLUMNS,
    read_account,
    read_hold,
    resident_values,
)
from server.shards.placement import Moved
from server.shards.postgres_arrays import arrays, numbers
from server.shards.postgres_schema import Line
from server.shards.store import Batch, Residents

_RESIDENTS = "(SELECT account FROM resident WHERE slot = %s)"
_ACCOUNTS = f"SELECT {ACCOUNT_COLUMNS} FROM account WHERE id IN {_RESIDENTS} ORDER BY id"
_HOLDS = (
    f"SELECT {HOLD_COLUMNS} FROM hold WHERE state = 1 AND (debit_account_id IN {_RESIDENTS} "
    f"OR credit_account_id IN {_RESIDENTS}) ORDER BY id"
)
_DOCUMENTS = f"SELECT {DOCUMENT_COLUMNS} FROM document WHERE account IN {_RESIDENTS} ORDER BY id"
_PUT_MOVED = (
    f"INSERT INTO moved ({MOVED_COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s) "
    "ON CONFLICT (slot) DO UPDATE SET shard = excluded.shard, generation = excluded.generation, "
    "move_id = excluded.move_id, book_us = excluded.book_us, is_clean = excluded.is_clean"
)
_PUT_RESIDENTS = "INSERT INTO resident SELECT * FROM unnest(%s::bigint[], %s::bigint[])"
_COPY = (
    f"INSERT INTO entry ({ENTRY_COLUMNS}) SELECT * FROM unnest(%s::bigint[], %s::bigint[], "
    "%s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bytea[], "
    "%s::bigint[]) ON CONFLICT DO NOTHING"
)
_SWEEP = "DELETE FROM entry WHERE account = %s AND sequence BETWEEN %s AND %s"


def read_moved(db: Line) -> list[Moved]:
    """List the slots that came or went."""
    sql = f"SELECT {MOVED_COLUMNS} FROM moved ORDER BY slot"
    return [Moved(*row) for row in db.execute(sql, binary=True).fetchall()]


def read_accounts(db: Line, slot: int) -> list[Account]:
    """List the accounts of a slot, by id."""
    rows = db.execute(_ACCOUNTS, (slot,), binary=True).fetchall()
    return [read_account(row) for row in rows]


def read_residents(db: Line, slot: int) -> Residents:
    """Load all that is in a slot."""
    holds = db.execute(_HOLDS, (slot, slot), binary=True).fetchall()
    documents = db.execute(_DOCUMENTS, (slot,), binary=True).fetchall()
    return Residents(
        read_accounts(db, slot),
        [read_hold(row) for row in holds],
        [Document(*row) for row in documents],
    )


def write_slots(db: Line, batch: Batch) -> None:
    """Write what a batch says of slots."""
    if batch.opened:
        db.execute(_PUT_RESIDENTS, arrays(resident_values(batch.opened)) or ("{}", "{}"))
    for moved in batch.moved:
        db.execute(_PUT_MOVED, moved)
    if batch.left_accounts:
        left = (numbers(batch.left_accounts),)
        db.execute("DELETE FROM account WHERE id = ANY(%s::bigint[])", left)
        db.execute("DELETE FROM resident WHERE account = ANY(%s::bigint[])", left)
    if batch.left_holds:
        ids = [i.to_bytes(16, "big") for i in batch.left_holds]
        db.execute("DELETE FROM hold WHERE id = ANY(%s)", (ids,))
    if batch.left_documents:
        db.execute("DELETE FROM document WHERE id = ANY(%s)", (list(batch.left_documents),))
    if batch.copied:
        db.execute(_COPY, arrays(batch.copied))
    for span in batch.swept:
        db.execute(_SWEEP, span)
