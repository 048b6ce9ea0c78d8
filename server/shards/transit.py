"""Money between shards as the logs tell it: what was owed, what arrived, what outboxes still owe.

There may be more of it than memory holds. So SQLite sorts it, by the log rows that owe, in a file
that has no name and goes with the process: some 300 bytes for each payment that crossed. It lies in
the system's folder for temporary files, or where SQLITE_TMPDIR says. Used by `verify_transit.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import apsw

from kessai.complaint import Complaint
from server.domain.arrival import payment_id, read_origin
from server.shards.columns import OUTBOX_COLUMNS
from server.shards.settlement_log import LogRow
from server.shards.store import OutboxRow

# Columns have no types, so that whatever a tampered file holds is kept and compared as it is.
# `shard` and `log_sequence` name the log row that owes; an arrival is row `at_row` of `at_shard`.
_TABLES = f"""
CREATE TABLE debt (shard, {OUTBOX_COLUMNS}, PRIMARY KEY (shard, log_sequence)) WITHOUT ROWID;
CREATE TABLE outbox (shard, {OUTBOX_COLUMNS}, PRIMARY KEY (shard, log_sequence)) WITHOUT ROWID;
CREATE TABLE arrival (
    shard, {OUTBOX_COLUMNS}, at_shard, at_row,
    PRIMARY KEY (shard, log_sequence, at_shard, at_row)
) WITHOUT ROWID;
CREATE INDEX arrival_of ON arrival (request_id);
"""
_CACHE_KIB = 8_192
_WIDTH = len(OutboxRow._fields)


def _columns_of(table: str) -> str:
    return ", ".join(f"{table}.{column}" for column in OutboxRow._fields)


_OUTBOX, _DEBT, _ARRIVAL = map(_columns_of, ("outbox", "debt", "arrival"))
_SAME_PLACE = "shard = debt.shard AND log_sequence = debt.log_sequence"


class OnTheWay(NamedTuple):
    """A debt of a shard that has not arrived; whether the outbox has it, and its id arrived."""

    shard: int
    debt: OutboxRow
    is_in_outbox: bool
    is_id_taken: bool


class Stray(NamedTuple):
    """A log row of a shard by which `claimed` came from `source`, whose log owes `debt` instead."""

    shard: int
    sequence: int
    source: int
    claimed: OutboxRow
    debt: OutboxRow | None


class Transit:
    """Filled shard by shard, then asked. Complaint if the temporary file has no room."""

    def __init__(self) -> None:
        self._db = apsw.Connection("")
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._db.execute(_TABLES)
        self._db.execute("BEGIN")

    def add_debts(self, shard: int, debts: Iterable[OutboxRow]) -> None:
        """Take in what a shard's log owes."""
        self._add("debt", ((shard, *debt) for debt in debts))

    def add_arrivals(self, shard: int, rows: Iterable[LogRow]) -> None:
        """Take in what arrived by a shard's log."""
        self._add("arrival", (_arrival(shard, row) for row in rows))

    def add_outbox(self, shard: int, rows: Iterable[OutboxRow]) -> None:
        """Take in what a shard's outbox still owes."""
        self._add("outbox", ((shard, *row) for row in rows))

    def arrived_twice(self) -> Iterator[bytes]:
        """List the payments, by request id, that arrived more than once."""
        sql = "SELECT request_id FROM arrival GROUP BY request_id HAVING count(*) > 1"
        return (request_id for (request_id,) in self._select(sql))

    def wrong_in_outbox(self) -> Iterator[tuple[int, OutboxRow, OutboxRow | None]]:
        """List outbox rows, by shard, that are not what the log owes, and what it does owe."""
        sql = (
            f"SELECT shard, {_OUTBOX}, {_DEBT} FROM outbox LEFT JOIN debt "
            f"USING (shard, log_sequence) WHERE ({_OUTBOX}) IS NOT ({_DEBT})"
        )
        for shard, *columns in self._select(sql):
            yield shard, _row(columns[:_WIDTH]), _row_or_none(columns[_WIDTH:])

    def on_the_way(self) -> Iterator[OnTheWay]:
        """List the debts that no arrival names."""
        sql = (
            f"SELECT shard, {_DEBT}, EXISTS (SELECT 1 FROM outbox WHERE {_SAME_PLACE}), "
            "EXISTS (SELECT 1 FROM arrival WHERE request_id = debt.request_id) FROM debt "
            f"WHERE NOT EXISTS (SELECT 1 FROM arrival WHERE {_SAME_PLACE})"
        )
        for shard, *columns, is_in_outbox, is_id_taken in self._select(sql):
            yield OnTheWay(shard, _row(columns), bool(is_in_outbox), bool(is_id_taken))

    def strays(self) -> Iterator[Stray]:
        """List the arrivals that are not what the shard that they name owes."""
        sql = (
            f"SELECT at_shard, at_row, shard, {_ARRIVAL}, {_DEBT} FROM arrival LEFT JOIN debt "
            f"USING (shard, log_sequence) WHERE ({_ARRIVAL}) IS NOT ({_DEBT})"
        )
        for at_shard, at_row, shard, *columns in self._select(sql):
            claimed, debt = _row(columns[:_WIDTH]), _row_or_none(columns[_WIDTH:])
            yield Stray(at_shard, at_row, shard, claimed, debt)

    def close(self) -> None:
        """Forget everything; the file goes."""
        self._db.close()

    def _add(self, table: str, rows: Iterable[tuple[Any, ...]]) -> None:
        marks = ",".join("?" * (1 + _WIDTH + 2 * (table == "arrival")))
        try:
            self._db.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
        except apsw.FullError:
            raise Complaint(
                "there is no room for the temporary file that verifying takes, so nothing is known "
                "about the books, and nothing was changed. Make room, or name another folder in "
                "SQLITE_TMPDIR, and verify again."
            ) from None

    def _select(self, sql: str) -> Iterator[tuple[Any, ...]]:
        return iter(self._db.execute(sql))


def _arrival(shard: int, row: LogRow) -> tuple[Any, ...]:
    origin = read_origin(row.body)
    claimed = OutboxRow(
        origin.log_sequence, payment_id(row.request_id), row.payer, row.payee,
        row.amount, row.ledger, origin.code,
    )  # fmt: skip
    return (origin.shard, *claimed, shard, row.sequence)


def _row(columns: list[Any]) -> OutboxRow:
    return OutboxRow(*columns)


def _row_or_none(columns: list[Any]) -> OutboxRow | None:
    # Log positions are never NULL where there is a row.
    return None if columns[0] is None else OutboxRow(*columns)
