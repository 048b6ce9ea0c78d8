"""A shard's reads on SQLite: a connection of its own that sees what is committed, never more.

It never writes and never checkpoints. Used on the shard's reading thread by `shard.py`, and by
`verify.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kessai.request_id import time_of
from server.domain.document import Document
from server.ledger.account import Account
from server.ledger.chart import BEYOND_NUMBERS, LAST_HOUSE_ACCOUNT
from server.ledger.transfer import Hold
from server.shards.checked_file import PASSING_FAULTS, READ_FAULTS, damaged, list_faults, tell
from server.shards.columns import (
    ACCOUNT_COLUMNS,
    DOCUMENT_COLUMNS,
    HOLD_COLUMNS,
    read_account,
    read_hold,
)
from server.shards.placement import Moved
from server.shards.schema import TIE_KEY, open_shard
from server.shards.settlement_log import LogRow
from server.shards.sqlite_slots import read_accounts, read_moved
from server.shards.store import BookedEntry, OutboxRow, StoreDamaged, StoreUnavailable, Total

_NEWEST = 2**63 - 1


class SqliteReader:
    """The `Reader` of one shard file."""

    def __init__(self, path: Path, shard: int, books_id: str) -> None:
        self._path, self._told = path, False
        self._db = open_shard(path, shard, books_id, read_only=True)

    def account(self, account_id: int) -> Account | None:
        """Give an account, or None."""
        sql = f"SELECT {ACCOUNT_COLUMNS} FROM account WHERE id = ?"
        row = next(self._rows(sql, account_id), None)
        return read_account(row) if row else None

    def accounts(self, ids: Sequence[int]) -> list[Account]:
        """Give accounts, all as they are at one moment; those that do not exist are left out."""
        marks = ",".join("?" * len(ids))
        sql = f"SELECT {ACCOUNT_COLUMNS} FROM account WHERE id IN ({marks})"
        return [read_account(row) for row in self._rows(sql, *ids)]

    def accounts_after(self, account_id: int, owner: str, limit: int) -> list[Account]:
        """List people's accounts with ids above one, by id; "": of all owners."""
        sql = (
            f"SELECT {ACCOUNT_COLUMNS} FROM account "
            "WHERE id > ? AND id < ? AND (? = '' OR owner = ?) ORDER BY id LIMIT ?"
        )
        after = max(account_id, LAST_HOUSE_ACCOUNT)
        rows = self._rows(sql, after, BEYOND_NUMBERS, owner, owner, limit)
        return [read_account(row) for row in rows]

    def holding(self, first: int, last: int, limit: int) -> list[Account]:
        """List the accounts that hold money, among those with ids from `first` to `last`."""
        sql = (
            f"SELECT {ACCOUNT_COLUMNS} FROM account "
            "WHERE id BETWEEN ? AND ? AND credits_posted > debits_posted ORDER BY id LIMIT ?"
        )
        return [read_account(row) for row in self._rows(sql, first, last, limit)]

    def statement(
        self, account_id: int, before: int, limit: int
    ) -> tuple[Account | None, list[BookedEntry]]:
        """Give an account and its newest entries below sequence `before` (0: all), in one read."""
        sql = (
            "SELECT * FROM entry WHERE account = ? AND sequence < ? ORDER BY sequence DESC LIMIT ?"
        )
        self._db.execute("BEGIN")
        try:
            account = self.account(account_id)
            return account, list(map(_entry, self._rows(sql, account_id, before or _NEWEST, limit)))
        finally:
            if self._db.in_transaction:
                self._db.execute("COMMIT")

    def row(self, request_id: bytes) -> LogRow | None:
        """Find the log row of a request id."""
        sql = "SELECT * FROM log WHERE request_id = ?"
        row = next(self._rows(sql, request_id), None)
        return LogRow(*row) if row else None

    def document(self, document_id: bytes) -> Document | None:
        """Give a document, or None."""
        sql = f"SELECT {DOCUMENT_COLUMNS} FROM document WHERE id = ?"
        row = next(self._rows(sql, document_id), None)
        return Document(*row) if row else None

    def last_sequence(self) -> int:
        """Tell the sequence of the newest log row, or 0."""
        row = next(self._rows("SELECT max(sequence) FROM log"), None)
        return int(row[0] or 0) if row else 0

    def last_book_us(self) -> int:
        """The booking time of the newest log row, microseconds since 1970, or 0."""
        sql = "SELECT book_us FROM log ORDER BY sequence DESC LIMIT 1"
        row = next(self._rows(sql), None)
        return int(row[0]) if row else 0

    def rows_after(self, sequence: int, limit: int) -> list[LogRow]:
        """List the log rows after a sequence in order, at most so many."""
        sql = "SELECT * FROM log WHERE sequence > ? ORDER BY sequence LIMIT ?"
        return [LogRow(*row) for row in self._rows(sql, sequence, limit)]

    def rows_holding(self, needle: bytes, after: int, last: int) -> list[LogRow]:
        """Rows whose body holds some bytes, after a sequence up to another, newest first."""
        sql = (
            "SELECT * FROM log WHERE sequence > ? AND sequence <= ? "
            "AND instr(body, ?) > 0 ORDER BY sequence DESC"
        )
        return [LogRow(*row) for row in self._rows(sql, after, last, needle)]

    def recent_request_ids(self, since_us: int) -> list[bytes]:
        """List the request ids made and booked since a time, microseconds since 1970."""
        ids = []
        newest_first = "SELECT book_us, request_id FROM log ORDER BY sequence DESC"
        for book_us, request_id in self._rows(newest_first):
            if book_us < since_us:
                break
            if time_of(request_id) >= since_us // 1000:
                ids.append(request_id)
        return ids

    def outbox(self, limit: int) -> list[OutboxRow]:
        """List what is owed, oldest first."""
        sql = "SELECT * FROM outbox ORDER BY log_sequence LIMIT ?"
        return [OutboxRow(*row) for row in self._rows(sql, limit)]

    def hold(self, hold_id: int) -> Hold | None:
        """Give a hold, or None."""
        sql = f"SELECT {HOLD_COLUMNS} FROM hold WHERE id = ?"
        rows = self._rows(sql, hold_id.to_bytes(16, "big"))
        return next((read_hold(row) for row in rows), None)

    def due_holds(self, now_us: int, limit: int) -> list[Hold]:
        """List pending holds whose time is over."""
        sql = (
            f"SELECT {HOLD_COLUMNS} FROM hold "
            "WHERE state = 1 AND expire_us > 0 AND expire_us <= ? ORDER BY expire_us LIMIT ?"
        )
        return [read_hold(row) for row in self._rows(sql, now_us, limit)]

    def awaits(self, payee: int) -> bool:
        """Whether a pending hold pays an account, on this shard or another."""
        sql = (
            "SELECT 1 FROM hold WHERE state = 1 AND (far_account = ? OR credit_account_id = ?) "
            "LIMIT 1"
        )
        return any(self._rows(sql, payee, payee))

    def totals(self) -> list[Total]:
        """Add up the accounts by kind and currency."""
        # In two halves, because SQLite's sum() of integers fails beyond 63 bits.
        rows = self._rows(
            "SELECT code, ledger, count(*), "
            "sum(debits_posted >> 32), sum(debits_posted & 0xffffffff), "
            "sum(credits_posted >> 32), sum(credits_posted & 0xffffffff) "
            "FROM account GROUP BY code, ledger ORDER BY ledger, code"
        )
        return [
            Total(code, ledger, count, (dh << 32) + dl, (ch << 32) + cl)
            for code, ledger, count, dh, dl, ch, cl in rows
        ]

    def tie(self) -> int:
        """The number of the newest tie that the shard was told, or 0."""
        row = next(self._rows(f"SELECT value FROM meta WHERE key = '{TIE_KEY}'"), None)
        return int(row[0]) if row else 0

    def moved(self) -> list[Moved]:
        """List the slots that came or went."""
        with self._damage_refuses():
            return read_moved(self._db)

    def residents(self, slot: int) -> list[Account]:
        """List the accounts of a slot that is here, by id."""
        with self._damage_refuses():
            return read_accounts(self._db, slot)

    def log(self) -> Iterator[LogRow]:
        """Walk the whole log in order."""
        sql = "SELECT * FROM log ORDER BY sequence"
        return (LogRow(*row) for row in self._rows(sql))

    def all_accounts(self) -> Iterator[Account]:
        """Walk all accounts in order of their ids."""
        sql = f"SELECT {ACCOUNT_COLUMNS} FROM account ORDER BY id"
        return (read_account(row) for row in self._rows(sql))

    def all_entries(self) -> Iterator[BookedEntry]:
        """Walk all entries in order of account and sequence."""
        sql = "SELECT * FROM entry ORDER BY account, sequence"
        return map(_entry, self._rows(sql))

    def all_outbox(self) -> Iterator[OutboxRow]:
        """Walk all that is owed, oldest first."""
        sql = "SELECT * FROM outbox ORDER BY log_sequence"
        return (OutboxRow(*row) for row in self._rows(sql))

    def all_holds(self) -> Iterator[Hold]:
        """Walk all holds in order of their ids."""
        sql = f"SELECT {HOLD_COLUMNS} FROM hold ORDER BY id"
        return (read_hold(row) for row in self._rows(sql))

    def all_documents(self) -> Iterator[Document]:
        """Walk all documents in order of their ids."""
        sql = f"SELECT {DOCUMENT_COLUMNS} FROM document ORDER BY id"
        return (Document(*row) for row in self._rows(sql))

    def faults(self) -> list[str]:
        """Let SQLite compare all pages, tables and indexes."""
        found = list_faults(self._db, self._path, "integrity_check")
        self._told = self._told or bool(found)  # by whoever is given them
        return found

    def snapshot(self) -> None:
        """Let every read from here on see the same moment, until `close`."""
        self._db.execute("BEGIN")
        list(self._rows("SELECT count(*) FROM meta"))

    def close(self) -> None:
        """Close the connection."""
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")
        self._db.close()

    def _rows(self, sql: str, *values: int | bytes | str) -> Iterator[tuple[Any, ...]]:
        with self._damage_refuses():
            yield from self._db.execute(sql, values)

    @contextmanager
    def _damage_refuses(self) -> Iterator[None]:
        try:
            yield
        except READ_FAULTS as error:
            if not self._told:
                self._told = True
                tell(damaged(self._path, str(error)))
            raise StoreDamaged(f"{self._path.name}: a page is damaged") from None
        except PASSING_FAULTS as error:
            raise StoreUnavailable(f"{self._path.name}: {error}") from None


def _entry(row: Sequence[object]) -> BookedEntry:
    return BookedEntry(*row)  # type: ignore[arg-type]
