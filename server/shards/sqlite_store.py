"""A shard's writer on SQLite: WAL, synchronous=FULL, one connection that writes and checkpoints.

A page that cannot be read ends the writing of this shard: nothing is decided on what is not known.

apsw brings a SQLite of its own (3.53.0 or later), which has the WAL-reset fix that Debian 12's
lacks. Used by `shard.py`, on the shard's writing thread only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NoReturn

import apsw

from kessai.complaint import Complaint
from kessai.last_words import end_process
from server.domain.document import Document
from server.ledger.account import Account
from server.ledger.transfer import Hold
from server.shards.checked_file import PASSING_FAULTS, READ_FAULTS, damaged, is_damage, tell
from server.shards.clean_close import close_cleanly, mark_open, size_of_wal
from server.shards.columns import (
    ACCOUNT_COLUMNS,
    DOCUMENT_COLUMNS,
    HOLD_COLUMNS,
    LOG_COLUMNS,
    account_values,
    hold_values,
    read_account,
    read_hold,
)
from server.shards.placement import Moved
from server.shards.schema import TIE_KEY, open_shard
from server.shards.settlement_log import CHAIN_START, LogRow
from server.shards.shard_lock import ShardLock
from server.shards.sqlite_slots import read_moved, read_residents, write_slots
from server.shards.store import Batch, Residents, StoreDamaged, StoreUnavailable, Tail

EXIT_DISK_FAILED = 74

# 32 MB of WAL, then it is written back: pages that change again and again are written back once.
_WAL_PAGES = 8000
_WAL_BYTES = _WAL_PAGES * 4096
# While somebody reads an old state nothing of it can be written over: then it grows beyond.
_TOLD_BYTES = 8 * _WAL_BYTES
_LOOK_EVERY = 64


class SqliteStore:
    """The `Store` of one shard file."""

    def __init__(self, path: Path, shard: int, books_id: str) -> None:
        """Open the file to write; Complaint if that cannot be, or another switch writes it."""
        self._path = path
        self._damage = ""
        self._tail: Tail | None = None
        self._commits, self._has_told = 0, False
        with ExitStack() as undo:
            self._lock = ShardLock(path)
            undo.callback(self._lock.release)
            self._db = open_shard(path, shard, books_id, read_only=False)
            undo.callback(self._db.close)
            self._prepare()
            undo.pop_all()

    def begin(self) -> Tail:
        """Give the tail of the log: nobody but this process writes the file."""
        if self._tail is None:
            with self._reading():
                row = self._db.execute(
                    "SELECT sequence, chain_hash, book_us FROM log ORDER BY sequence DESC LIMIT 1"
                ).fetchone()
            self._tail = Tail(*row) if row else Tail(0, CHAIN_START, 0)
        return self._tail

    def rows(self, request_ids: Sequence[bytes]) -> dict[bytes, LogRow]:
        """Find the log rows of request ids."""
        sql = f"SELECT {LOG_COLUMNS} FROM log WHERE request_id IN ({_marks(request_ids)})"
        with self._reading():
            return {row[1]: LogRow(*row) for row in self._db.execute(sql, _padded(request_ids))}

    def accounts(self, ids: Sequence[int]) -> list[Account]:
        """Load accounts; those that do not exist are left out."""
        sql = f"SELECT {ACCOUNT_COLUMNS} FROM account WHERE id IN ({_marks(ids)})"
        with self._reading():
            return [read_account(row) for row in self._db.execute(sql, _padded(ids))]

    def holds(self, ids: Sequence[int]) -> list[Hold]:
        """Load holds; those that do not exist are left out."""
        keys = [i.to_bytes(16, "big") for i in ids]
        sql = f"SELECT {HOLD_COLUMNS} FROM hold WHERE id IN ({_marks(keys)})"
        with self._reading():
            return [read_hold(row) for row in self._db.execute(sql, _padded(keys))]

    def documents(self, ids: Sequence[bytes]) -> list[Document]:
        """Load documents; those that do not exist are left out."""
        sql = f"SELECT {DOCUMENT_COLUMNS} FROM document WHERE id IN ({_marks(ids)})"
        with self._reading():
            return [Document(*row) for row in self._db.execute(sql, _padded(ids))]

    def moved(self) -> list[Moved]:
        """List the slots that came or went."""
        with self._reading():
            return read_moved(self._db)

    def residents(self, slot: int) -> Residents:
        """Load all that is in a slot that is here, by id."""
        with self._reading():
            return read_residents(self._db, slot)

    def commit(self, batch: Batch) -> None:
        """Write a batch durably, or nothing of it.

        A full disk, a read-only file system or want of memory raises StoreUnavailable, a damaged
        page StoreDamaged; then nothing was written. Any other failed write or fsync ends the
        process, because what is on the disk is then unknown.
        """
        try:
            self._refuse_if_damaged()
            self._db.execute("BEGIN IMMEDIATE")
            self._write(batch)
            self._db.execute("COMMIT")
        except READ_FAULTS as error:
            if not (is_damage(error) and self._db.in_transaction):
                end_process(
                    f"writing {self._path} failed ({error}). The switch stops, so that nothing is "
                    "acknowledged that is not on the disk. Check the disk, then start it again.",
                    EXIT_DISK_FAILED,
                )
            self._roll_back()
            self._note_damage(error)
        except PASSING_FAULTS as error:
            self._roll_back()
            raise StoreUnavailable(f"{self._path.name}: {error}") from None
        except BaseException:
            self._roll_back()
            raise
        if batch.rows:
            self._tail = Tail.at(batch.rows[-1])
        self._commits += 1
        if self._commits % _LOOK_EVERY == 0:
            self._look_at_wal()

    def abandon(self) -> None:
        """Nothing to end: only `commit` opens a transaction."""

    def close(self) -> None:
        """Close the database, with all that is committed in the file itself."""
        try:
            close_cleanly(self._db, self._path, "meta")
        finally:
            self._lock.release()

    def _prepare(self) -> None:
        self._db.execute("PRAGMA cache_size = -16384")
        self._db.execute(f"PRAGMA wal_autocheckpoint = {_WAL_PAGES}")
        self._db.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}")
        try:
            mark_open(self._db, "meta")
        except apsw.Error as error:
            raise Complaint(
                f"the shard file {self._path} cannot be written ({error}). No money was moved. "
                "Make room on its disk, or give this user the right to write it, and start again."
            ) from None

    def _look_at_wal(self) -> None:
        size = size_of_wal(self._path)
        if size > _TOLD_BYTES and not self._has_told:
            tell(
                f"{self._path}-wal has {size >> 20} MB, because somebody has been reading an old "
                "state of it for long (kessai backup, kessai ledger verify, another program). "
                "Nothing is lost; it gets short again when that ends. Make sure that there is room."
            )
        self._has_told = size > _TOLD_BYTES

    def _roll_back(self) -> None:
        # What was half written must not be found as done by the next group.
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    @contextmanager
    def _reading(self) -> Iterator[None]:
        self._refuse_if_damaged()
        try:
            yield
        except READ_FAULTS as error:
            self._note_damage(error)
        except PASSING_FAULTS as error:
            raise StoreUnavailable(f"{self._path.name}: {error}") from None

    def _refuse_if_damaged(self) -> None:
        if self._damage:
            raise StoreDamaged(self._damage)

    def _note_damage(self, error: apsw.Error) -> NoReturn:
        tell(damaged(self._path, str(error)))
        self._damage = f"{self._path.name}: a page is damaged"
        raise StoreDamaged(self._damage) from None

    def _tick_off(self, batch: Batch) -> None:
        kept = ",".join(map(str, batch.undelivered))
        sql = f"DELETE FROM outbox WHERE log_sequence <= ? AND log_sequence NOT IN ({kept})"
        self._db.execute(sql, (batch.delivered_to,))

    def _write(self, batch: Batch) -> None:
        many = self._db.executemany
        many("INSERT INTO log VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)", batch.rows)
        if batch.entries:
            many("INSERT INTO entry VALUES (?,?,?,?,?,?,?,?,?)", batch.entries)
        if batch.accounts:
            accounts = map(account_values, batch.accounts.values())
            many("INSERT OR REPLACE INTO account VALUES (?,?,?,?,?,?,?,?,?,?,?)", accounts)
        if batch.holds:
            holds = map(hold_values, batch.holds.values())
            many("INSERT OR REPLACE INTO hold VALUES (?,?,?,?,?,?,?,?,?,?)", holds)
        if batch.documents:
            documents = batch.documents.values()
            many("INSERT OR REPLACE INTO document VALUES (?,?,?,?)", documents)
        if batch.outbox:
            many("INSERT INTO outbox VALUES (?,?,?,?,?,?,?)", batch.outbox)
        if batch.delivered_to:
            self._tick_off(batch)
        if batch.tie:
            tie = (TIE_KEY, str(batch.tie))
            self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", tie)
        write_slots(self._db, batch)


def _padded(values: Sequence[int | bytes]) -> tuple[int | bytes, ...]:
    # A few lengths of IN lists, so that the statement cache finds them again.
    size: int = 1 << (len(values) - 1).bit_length()
    return (*values, *(values[-1],) * (size - len(values)))


def _marks(values: Sequence[int | bytes]) -> str:
    return ",".join("?" * (1 << (len(values) - 1).bit_length()))
