"""A shard's reads on PostgreSQL: a connection of its own that sees what is committed, never more.

Long walks come through server-side cursors, so no table is ever in memory as a whole. Used on the
shard's reading thread by `shard.py`, and by `verify.py`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from typing import Any, TypeVar

from server.domain.document import Document
from server.ledger.account import Account
from server.ledger.chart import BEYOND_NUMBERS, LAST_HOUSE_ACCOUNT
from server.ledger.transfer import Hold
from server.shards.columns import (
    ACCOUNT_COLUMNS,
    DOCUMENT_COLUMNS,
    ENTRY_COLUMNS,
    HOLD_COLUMNS,
    OUTBOX_COLUMNS,
    read_account,
    read_hold,
)
from server.shards.placement import Moved
from server.shards.postgres_line import PostgresLine
from server.shards.postgres_schema import Line
from server.shards.postgres_slots import read_accounts, read_moved
from server.shards.settlement_log import LogRow
from server.shards.store import BookedEntry, OutboxRow, Total

_NEWEST = 2**63 - 1
_ROWS_AT_ONCE = 1000
_ONE_MOMENT = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_ACCOUNT = f"SELECT {ACCOUNT_COLUMNS} FROM account WHERE id = %s"
_ENTRIES = (
    f"SELECT {ENTRY_COLUMNS} FROM entry WHERE account = %s AND sequence < %s "
    "ORDER BY sequence DESC LIMIT %s"
)

_Found = TypeVar("_Found")


class PostgresReader:
    """The `Reader` of one shard's schema."""

    def __init__(self, url: str, shard: int, books_id: str) -> None:
        self._line = PostgresLine(url, shard, books_id, read_only=True)
        self._in_snapshot = False
        self._walks = itertools.count()

    def account(self, account_id: int) -> Account | None:
        """Give an account, or None."""
        rows = self._select(_ACCOUNT, account_id)
        return read_account(rows[0]) if rows else None

    def accounts(self, ids: Sequence[int]) -> list[Account]:
        """Give accounts, all as they are at one moment; those that do not exist are left out."""
        sql = f"SELECT {ACCOUNT_COLUMNS} FROM account WHERE id = ANY(%s)"
        return [read_account(row) for row in self._select(sql, list(ids))]

    def accounts_after(self, account_id: int, owner: str, limit: int) -> list[Account]:
        """List people's accounts with ids above one, by id; "": of all owners."""
        sql = (
            f"SELECT {ACCOUNT_COLUMNS} FROM account "
            "WHERE id > %s AND id < %s AND (%s = '' OR owner = %s) ORDER BY id LIMIT %s"
        )
        after = max(account_id, LAST_HOUSE_ACCOUNT)
        rows = self._select(sql, after, BEYOND_NUMBERS, owner, owner, limit)
        return [read_account(row) for row in rows]

    def holding(self, first: int, last: int, limit: int) -> list[Account]:
        """List the accounts that hold money, among those with ids from `first` to `last`."""
        sql = (
            f"SELECT {ACCOUNT_COLUMNS} FROM account WHERE id BETWEEN %s AND %s "
            "AND credits_posted > debits_posted ORDER BY id LIMIT %s"
        )
        return [read_account(row) for row in self._select(sql, first, last, limit)]

    def statement(
        self, account_id: int, before: int, limit: int
    ) -> tuple[Account | None, list[BookedEntry]]:
        """Give an account and its newest entries below sequence `before` (0: all), in one read."""

        def look(db: Line) -> tuple[list[Any], list[Any]]:
            with db.pipeline():
                if not self._in_snapshot:
                    db.execute(_ONE_MOMENT)
                account = db.execute(_ACCOUNT, (account_id,), binary=True)
                values = (account_id, before or _NEWEST, limit)
                entries = db.execute(_ENTRIES, values, binary=True)
                if not self._in_snapshot:
                    db.execute("COMMIT")
            return account.fetchall(), entries.fetchall()

        accounts, entries = self._look(look)
        return read_account(accounts[0]) if accounts else None, [BookedEntry(*e) for e in entries]

    def row(self, request_id: bytes) -> LogRow | None:
        """Find the log row of a request id."""
        rows = self._select("SELECT * FROM log WHERE request_id = %s", request_id)
        return LogRow(*rows[0]) if rows else None

    def document(self, document_id: bytes) -> Document | None:
        """Give a document, or None."""
        sql = f"SELECT {DOCUMENT_COLUMNS} FROM document WHERE id = %s"
        rows = self._select(sql, document_id)
        return Document(*rows[0]) if rows else None

    def last_sequence(self) -> int:
        """Tell the sequence of the newest log row, or 0."""
        ((last,),) = self._select("SELECT max(sequence) FROM log")
        return int(last or 0)

    def last_book_us(self) -> int:
        """The booking time of the newest log row, microseconds since 1970, or 0."""
        rows = self._select("SELECT book_us FROM log ORDER BY sequence DESC LIMIT 1")
        return int(rows[0][0]) if rows else 0

    def rows_after(self, sequence: int, limit: int) -> list[LogRow]:
        """List the log rows after a sequence in order, at most so many."""
        sql = "SELECT * FROM log WHERE sequence > %s ORDER BY sequence LIMIT %s"
        return [LogRow(*row) for row in self._select(sql, sequence, limit)]

    def rows_holding(self, needle: bytes, after: int, last: int) -> list[LogRow]:
        """Rows whose body holds some bytes, after a sequence up to another, newest first."""
        sql = (
            "SELECT * FROM log WHERE sequence > %s AND sequence <= %s "
            "AND position(%s in body) > 0 ORDER BY sequence DESC"
        )
        return [LogRow(*row) for row in self._select(sql, after, last, needle)]

    def recent_request_ids(self, since_us: int) -> list[bytes]:
        """List the request ids made and booked since a time, microseconds since 1970."""
        # Booking times never go back, so the newest row before that time is found from the end.
        sql = (
            "SELECT request_id FROM log WHERE sequence > "
            "coalesce((SELECT sequence FROM log WHERE book_us < %s ORDER BY sequence DESC LIMIT 1),"
            " 0) AND substring(request_id FOR 6) >= %s ORDER BY sequence DESC"
        )
        made = (since_us // 1000).to_bytes(6, "big")
        return [request_id for (request_id,) in self._select(sql, since_us, made)]

    def outbox(self, limit: int) -> list[OutboxRow]:
        """List what is owed, oldest first."""
        sql = f"SELECT {OUTBOX_COLUMNS} FROM outbox ORDER BY log_sequence LIMIT %s"
        return [OutboxRow(*row) for row in self._select(sql, limit)]

    def hold(self, hold_id: int) -> Hold | None:
        """Give a hold, or None."""
        sql = f"SELECT {HOLD_COLUMNS} FROM hold WHERE id = %s"
        rows = self._select(sql, hold_id.to_bytes(16, "big"))
        return next(map(read_hold, rows), None)

    def due_holds(self, now_us: int, limit: int) -> list[Hold]:
        """List pending holds whose time is over."""
        sql = (
            f"SELECT {HOLD_COLUMNS} FROM hold "
            "WHERE state = 1 AND expire_us > 0 AND expire_us <= %s ORDER BY expire_us LIMIT %s"
        )
        return [read_hold(row) for row in self._select(sql, now_us, limit)]

    def awaits(self, payee: int) -> bool:
        """Whether a pending hold pays an account, on this shard or another."""
        sql = (
            "SELECT 1 FROM hold WHERE state = 1 AND (far_account = %s OR credit_account_id = %s) "
            "LIMIT 1"
        )
        return bool(self._select(sql, payee, payee))

    def totals(self) -> list[Total]:
        """Add up the accounts by kind and currency."""
        sql = (
            "SELECT code, ledger, count(*), sum(debits_posted), sum(credits_posted) "
            "FROM account GROUP BY code, ledger ORDER BY ledger, code"
        )
        return [Total(*map(int, row)) for row in self._select(sql)]

    def tie(self) -> int:
        """None: switches with directories of their own may share a shard on PostgreSQL."""
        return 0

    def moved(self) -> list[Moved]:
        """List the slots that came or went."""
        return self._look(read_moved)

    def residents(self, slot: int) -> list[Account]:
        """List the accounts of a slot that is here, by id."""
        return self._look(lambda db: read_accounts(db, slot))

    def log(self) -> Iterator[LogRow]:
        """Walk the whole log in order."""
        return (LogRow(*row) for row in self._walk("SELECT * FROM log ORDER BY sequence"))

    def all_accounts(self) -> Iterator[Account]:
        """Walk all accounts in order of their ids."""
        return map(read_account, self._walk(f"SELECT {ACCOUNT_COLUMNS} FROM account ORDER BY id"))

    def all_entries(self) -> Iterator[BookedEntry]:
        """Walk all entries in order of account and sequence."""
        sql = f"SELECT {ENTRY_COLUMNS} FROM entry ORDER BY account, sequence"
        return map(BookedEntry._make, self._walk(sql))

    def all_outbox(self) -> Iterator[OutboxRow]:
        """Walk all that is owed, oldest first."""
        sql = f"SELECT {OUTBOX_COLUMNS} FROM outbox ORDER BY log_sequence"
        return map(OutboxRow._make, self._walk(sql))

    def all_holds(self) -> Iterator[Hold]:
        """Walk all holds in order of their ids."""
        return map(read_hold, self._walk(f"SELECT {HOLD_COLUMNS} FROM hold ORDER BY id"))

    def all_documents(self) -> Iterator[Document]:
        """Walk all documents in order of their ids."""
        sql = f"SELECT {DOCUMENT_COLUMNS} FROM document ORDER BY id"
        return map(Document._make, self._walk(sql))

    def faults(self) -> list[str]:
        """None: a server with data checksums refuses damaged pages when they are read."""
        return []

    def snapshot(self) -> None:
        """Let every read from here on see the same moment, until `close`."""

        def begin(db: Line) -> None:
            db.execute(_ONE_MOMENT)
            db.execute("SELECT 1")  # the moment is that of the first statement

        self._line.twice(begin)
        self._line.pin()
        self._in_snapshot = True

    def close(self) -> None:
        """Close the connection."""
        self._line.close()

    def _select(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        return self._look(lambda db: db.execute(sql, values, binary=True).fetchall())

    def _look(self, look: Callable[[Line], _Found]) -> _Found:
        if not self._in_snapshot:
            return self._line.twice(look)
        with self._line.use() as db:
            return look(db)

    def _walk(self, sql: str) -> Iterator[tuple[Any, ...]]:
        name = f"walk_{next(self._walks)}"
        with (
            self._line.use() as db,
            nullcontext() if self._in_snapshot else db.transaction(),
            db.cursor(name, binary=True) as cursor,
        ):
            cursor.itersize = _ROWS_AT_ONCE
            yield from cursor.execute(sql)
