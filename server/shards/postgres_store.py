"""A shard's writer on PostgreSQL: one transaction a group, under an advisory lock of the shard.

Any number of switches may serve a shard; the lock lets one group in at a time, and is free as soon
as its transaction ends, also because its holder died. New rows go in by COPY, accounts and holds by
one statement each. Used by `shard.py`, on the shard's writing thread only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from psycopg.pq import TransactionStatus

from server.domain.document import Document
from server.ledger.account import Account
from server.ledger.transfer import Hold
from server.shards.columns import (
    ACCOUNT_COLUMNS,
    DOCUMENT_COLUMNS,
    ENTRY_COLUMNS,
    HOLD_COLUMNS,
    LOG_COLUMNS,
    OUTBOX_COLUMNS,
    account_values,
    hold_values,
    read_account,
    read_hold,
)
from server.shards.placement import Moved
from server.shards.postgres_arrays import arrays
from server.shards.postgres_line import PostgresLine
from server.shards.postgres_schema import Line, schema_name
from server.shards.postgres_slots import read_moved, read_residents, write_slots
from server.shards.settlement_log import CHAIN_START, LogRow
from server.shards.store import Batch, Residents, StoreUnavailable, Tail

_LOCK = "SELECT pg_advisory_xact_lock(%s)"
_TAIL = "SELECT sequence, chain_hash, book_us FROM log ORDER BY sequence DESC LIMIT 1"
_TICK_OFF = "DELETE FROM outbox WHERE log_sequence <= %s AND log_sequence <> ALL(%s::bigint[])"
_LOG_TYPES = (
    "int8", "bytea", "int4", "bytea", "int8", "int8",
    "int8", "int4", "int8", "int4", "bytea", "bytea", "int4", "int8",
)  # fmt: skip
_ENTRY_TYPES = ("int8", "int8", "int8", "int8", "int8", "int4", "int8", "bytea", "int8")
_OUTBOX_TYPES = ("int8", "bytea", "int8", "int8", "int8", "int4", "int4")
_ACCOUNT_TYPES = ("bigint",) * 4 + ("text",) + ("bigint",) * 6
_HOLD_TYPES = ("bytea",) + ("bigint",) * 8 + ("bytea",)
_DOCUMENT_TYPES = ("bytea", "bigint", "bigint", "bytea")


def _upsert(table: str, columns: str, types: Sequence[str], changing: Sequence[str]) -> str:
    arrays = ", ".join(f"%s::{type_}[]" for type_ in types)
    changes = ", ".join(f"{column} = excluded.{column}" for column in changing)
    return (
        f"INSERT INTO {table} ({columns}) SELECT * FROM unnest({arrays}) "
        f"ON CONFLICT (id) DO UPDATE SET {changes}"
    )


_PUT_ACCOUNTS = _upsert(
    "account",
    ACCOUNT_COLUMNS,
    _ACCOUNT_TYPES,
    ("debits_pending", "debits_posted", "credits_pending", "credits_posted", "sequence"),
)
_PUT_DOCUMENTS = _upsert("document", DOCUMENT_COLUMNS, _DOCUMENT_TYPES, ("body",))
_PUT_HOLDS = _upsert(
    "hold", HOLD_COLUMNS, _HOLD_TYPES, ("credit_account_id", "far_account", "state", "finish_id")
)


class PostgresStore:
    """The `Store` of one shard's schema."""

    def __init__(self, url: str, shard: int, books_id: str) -> None:
        self._line = PostgresLine(url, shard, books_id, read_only=False)
        name = schema_name(shard, books_id).encode()
        self._lock = int.from_bytes(hashlib.sha256(name).digest()[:8], "big", signed=True)

    def begin(self) -> Tail:
        """Wait for the shard, and give the tail of its log as it is from now to the commit."""
        self._line.roll_back()
        return self._line.twice(self._begin)

    def rows(self, request_ids: Sequence[bytes]) -> dict[bytes, LogRow]:
        """Find the log rows of request ids."""
        sql = f"SELECT {LOG_COLUMNS} FROM log WHERE request_id = ANY(%s)"
        return {row[1]: LogRow(*row) for row in self._select(sql, list(request_ids))}

    def accounts(self, ids: Sequence[int]) -> list[Account]:
        """Load accounts; those that do not exist are left out."""
        sql = f"SELECT {ACCOUNT_COLUMNS} FROM account WHERE id = ANY(%s)"
        return [read_account(row) for row in self._select(sql, list(ids))]

    def holds(self, ids: Sequence[int]) -> list[Hold]:
        """Load holds; those that do not exist are left out."""
        sql = f"SELECT {HOLD_COLUMNS} FROM hold WHERE id = ANY(%s)"
        return [read_hold(row) for row in self._select(sql, [i.to_bytes(16, "big") for i in ids])]

    def documents(self, ids: Sequence[bytes]) -> list[Document]:
        """Load documents; those that do not exist are left out."""
        sql = f"SELECT {DOCUMENT_COLUMNS} FROM document WHERE id = ANY(%s)"
        return [Document(*row) for row in self._select(sql, list(ids))]

    def moved(self) -> list[Moved]:
        """List the slots that came or went."""
        with self._line.use() as db:
            return read_moved(db)

    def residents(self, slot: int) -> Residents:
        """Load all that is in a slot that is here, by id."""
        with self._line.use() as db:
            return read_residents(db, slot)

    def commit(self, batch: Batch) -> None:
        """Write a batch durably, or nothing of it; StoreUnavailable also if that is not known.

        If the connection breaks while the server commits, the batch is there or not; the next
        `begin` waits until the server has ended it, and gives the tail that came of it.
        """
        with self._line.use() as db:
            if db.info.transaction_status is not TransactionStatus.INTRANS:
                raise StoreUnavailable("the group's transaction is gone")
            _copy(db, "log", LOG_COLUMNS, _LOG_TYPES, batch.rows)
            _copy(db, "entry", ENTRY_COLUMNS, _ENTRY_TYPES, batch.entries)
            _copy(db, "outbox", OUTBOX_COLUMNS, _OUTBOX_TYPES, batch.outbox)
            # What fails in a pipeline skips the rest of it, the COMMIT too.
            with db.pipeline():
                _change(db, batch)
                ended = db.execute("COMMIT", prepare=False)
            if ended.statusmessage != "COMMIT":
                raise StoreUnavailable(f"the server answered {ended.statusmessage} to COMMIT")

    def abandon(self) -> None:
        """End the group without a change."""
        self._line.roll_back()

    def close(self) -> None:
        """Close the connection."""
        self._line.close()

    def _begin(self, db: Line) -> Tail:
        # Each statement sees what was committed before it, so the tail is read after the lock.
        with db.pipeline():
            db.execute("BEGIN ISOLATION LEVEL READ COMMITTED", prepare=False)
            db.execute(_LOCK, (self._lock,))
            tail = db.cursor(binary=True).execute(_TAIL)
        row = tail.fetchone()
        return Tail(*row) if row else Tail(0, CHAIN_START, 0)

    def _select(self, sql: str, ids: list[Any]) -> list[tuple[Any, ...]]:
        with self._line.use() as db:
            return db.execute(sql, (ids,), binary=True).fetchall()


def _change(db: Line, batch: Batch) -> None:
    if batch.accounts:
        db.execute(_PUT_ACCOUNTS, arrays(map(account_values, batch.accounts.values())))
    if batch.holds:
        db.execute(_PUT_HOLDS, arrays(map(hold_values, batch.holds.values())))
    if batch.documents:
        db.execute(_PUT_DOCUMENTS, arrays(batch.documents.values()))
    if batch.delivered_to:
        db.execute(_TICK_OFF, (batch.delivered_to, list(batch.undelivered)))
    write_slots(db, batch)


def _copy(
    db: Line, table: str, columns: str, types: Sequence[str], rows: Sequence[tuple[object, ...]]
) -> None:
    if not rows:
        return
    sql = f"COPY {table} ({columns}) FROM STDIN (FORMAT BINARY)"
    with db.cursor() as cursor, cursor.copy(sql) as copy:
        copy.set_types(types)
        for row in rows:
            copy.write_row(row)
