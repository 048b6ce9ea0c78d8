"""A shard's writer on SQLite: WAL, synchronous=FULL, one connection that writes and checkpoints.

apsw brings a SQLite of its own (3.53.0 or later), which has the WAL-reset fix that Debian 12's
lacks. Used by `shard.py`, on the shard's writing thread only.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import apsw

from server.ledger.account import Account, AccountFlag
from server.ledger.transfer import Hold, HoldState
from server.shards.schema import open_shard
from server.shards.settlement_log import CHAIN_START, LogRow
from server.shards.store import Batch, StoreUnavailable

EXIT_DISK_FAILED = 74

ACCOUNT_COLUMNS = (
    "id, ledger, code, flags, owner, open_us, "
    "debits_pending, debits_posted, credits_pending, credits_posted, sequence"
)
LOG_COLUMNS = (
    "sequence, request_id, kind, input_hash, payer, payee, amount, ledger, "
    "book_us, decline, body, chain_hash"
)
HOLD_COLUMNS = (
    "id, debit_account_id, credit_account_id, amount, ledger, code, expire_us, far_account, state"
)


class SqliteStore:
    """The `Store` of one shard file."""

    def __init__(self, path: Path, shard: int, books_id: str) -> None:
        self._path = path
        self._db = open_shard(path, shard, books_id, read_only=False)
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("PRAGMA cache_size = -16384")

    def tail(self) -> tuple[int, bytes, int]:
        """Give sequence, chain hash and booking time of the log's last row; (0, zeros, 0)."""
        row = self._db.execute(
            "SELECT sequence, chain_hash, book_us FROM log ORDER BY sequence DESC LIMIT 1"
        ).fetchone()
        return row or (0, CHAIN_START, 0)

    def rows(self, request_ids: Sequence[bytes]) -> dict[bytes, LogRow]:
        """Find the log rows of request ids."""
        sql = f"SELECT {LOG_COLUMNS} FROM log WHERE request_id IN ({_marks(request_ids)})"
        return {row[1]: LogRow(*row) for row in self._db.execute(sql, _padded(request_ids))}

    def accounts(self, ids: Sequence[int]) -> list[Account]:
        """Load accounts; those that do not exist are left out."""
        sql = f"SELECT {ACCOUNT_COLUMNS} FROM account WHERE id IN ({_marks(ids)})"
        return [read_account(row) for row in self._db.execute(sql, _padded(ids))]

    def holds(self, ids: Sequence[int]) -> list[Hold]:
        """Load holds; those that do not exist are left out."""
        keys = [i.to_bytes(16, "big") for i in ids]
        sql = f"SELECT {HOLD_COLUMNS} FROM hold WHERE id IN ({_marks(keys)})"
        return [read_hold(row) for row in self._db.execute(sql, _padded(keys))]

    def commit(self, batch: Batch) -> None:
        """Write a batch durably, or nothing of it.

        A full disk or a read-only file system raises StoreUnavailable and nothing was written. Any
        other failed write or fsync ends the process, because what is on the disk is then unknown.
        """
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._write(batch)
            self._db.execute("COMMIT")
        except (apsw.IOError, apsw.CorruptError) as error:
            self._end_process(error)
        except (apsw.FullError, apsw.BusyError, apsw.ReadOnlyError, apsw.CantOpenError) as error:
            self._roll_back()
            raise StoreUnavailable(f"{self._path.name}: {error}") from None
        except BaseException:
            self._roll_back()
            raise

    def close(self) -> None:
        """Close the database; SQLite writes the WAL back."""
        self._db.close()

    def _roll_back(self) -> None:
        # What was half written must not be found as done by the next group.
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def _end_process(self, error: apsw.Error) -> NoReturn:
        print(  # noqa: T201
            f"kessai: writing {self._path} failed ({error}). The switch stops, so that nothing "
            "is acknowledged that is not on the disk. Check the disk, then start it again.",
            file=sys.stderr,
            flush=True,
        )
        os._exit(EXIT_DISK_FAILED)

    def _write(self, batch: Batch) -> None:
        many = self._db.executemany
        many("INSERT INTO log VALUES (?,?,?,?,?,?,?,?,?,?,?,?)", batch.rows)
        if batch.entries:
            many("INSERT INTO entry VALUES (?,?,?,?,?,?,?,?,?)", batch.entries)
        if batch.accounts:
            accounts = map(_account_values, batch.accounts.values())
            many("INSERT OR REPLACE INTO account VALUES (?,?,?,?,?,?,?,?,?,?,?)", accounts)
        if batch.holds:
            holds = map(_hold_values, batch.holds.values())
            many("INSERT OR REPLACE INTO hold VALUES (?,?,?,?,?,?,?,?,?)", holds)
        if batch.outbox:
            many("INSERT INTO outbox VALUES (?,?,?,?,?,?,?)", batch.outbox)
        if batch.delivered_to:
            self._db.execute("DELETE FROM outbox WHERE log_sequence <= ?", (batch.delivered_to,))


def read_account(row: Sequence[object]) -> Account:
    """Make an account of its columns."""
    account = Account(*row)  # type: ignore[arg-type]
    account.flags = AccountFlag(account.flags)
    return account


def read_hold(row: Sequence[object]) -> Hold:
    """Make a hold of its columns."""
    hold = Hold(*row)  # type: ignore[arg-type]
    hold.id = int.from_bytes(row[0], "big")  # type: ignore[arg-type]
    hold.state = HoldState(hold.state)
    return hold


def _account_values(a: Account) -> tuple[object, ...]:
    return (
        a.id, a.ledger, a.code, int(a.flags), a.owner, a.open_us,
        a.debits_pending, a.debits_posted, a.credits_pending, a.credits_posted, a.sequence,
    )  # fmt: skip


def _hold_values(h: Hold) -> tuple[object, ...]:
    return (
        h.id.to_bytes(16, "big"), h.debit_account_id, h.credit_account_id,
        h.amount, h.ledger, h.code, h.expire_us, h.far_account, int(h.state),
    )  # fmt: skip


def _padded(values: Sequence[int | bytes]) -> tuple[int | bytes, ...]:
    # A few lengths of IN lists, so that the statement cache finds them again.
    size: int = 1 << (len(values) - 1).bit_length()
    return (*values, *(values[-1],) * (size - len(values)))


def _marks(values: Sequence[int | bytes]) -> str:
    return ",".join("?" * (1 << (len(values) - 1).bit_length()))
