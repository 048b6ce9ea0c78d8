"""Verifying shards on PostgreSQL: good books pass on any mix, and every altered column is found."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from server.domain.arrival import arrival
from server.shards.jobs import Delivered
from server.shards.postgres_schema import schema_name
from tests.unit.server.shards.parts import Stores, shards_in, verify_shards
from tests.unit.server.shards.test_verify import COMMANDS, NOT_DELIVERED

TABLES = ("log", "entry", "account", "hold", "outbox")
_OTHER = {
    "bytea": "{0} || '\\x01'::bytea",
    "text": "{0} || 'a'",
    "integer": "{0} + 1000",
    "bigint": "{0} + 1000",
}


async def fill(stores: Stores) -> None:
    """Some of everything on two shards; all but one of the debts are delivered."""
    with shards_in(stores, 2) as shards:
        for command in COMMANDS:
            await shards.submit(command)
        owed = (await shards.outbox(0, 100))[:-NOT_DELIVERED]
        for debt in owed:
            await shards.submit(arrival(0, *debt))
        await shards.shard(0).submit(Delivered(owed[-1].log_sequence))


@contextmanager
def altered(db: psycopg.Connection, table: str, column: str, other: str) -> Iterator[None]:
    """Alter one column of the first row, for a while."""
    found = db.execute(f"SELECT ctid, {column} FROM {table} LIMIT 1").fetchone()
    assert found is not None
    where, value = found
    [now] = db.execute(
        f"UPDATE {table} SET {column} = {other.format(column)} WHERE ctid = %s RETURNING ctid",
        (where,),
    ).fetchone() or ("",)
    yield
    db.execute(f"UPDATE {table} SET {column} = %s WHERE ctid = %s", (value, now))


@pytest.mark.parametrize("stores", ["sqlite", "postgresql", "mix"], indirect=True)
async def test_good_books_pass(stores: Stores) -> None:
    await fill(stores)
    report = verify_shards(stores, 2)
    assert report.faults == []
    assert (report.rows, report.in_transit) == (len(COMMANDS) + 3, NOT_DELIVERED)


@pytest.mark.parametrize("stores", ["postgresql"], indirect=True)
async def test_an_edit_is_found(stores: Stores) -> None:
    """Each column of each table, one after another; a missing row; and all is well again."""
    await fill(stores)
    with psycopg.connect(stores.urls[0], autocommit=True) as db:
        db.execute(f"SET search_path = {schema_name(0, stores.books_id)}")
        columns = db.execute(
            "SELECT table_name, column_name, data_type FROM information_schema.columns "
            "WHERE table_schema = current_schema AND table_name = ANY(%s)",
            (list(TABLES),),
        ).fetchall()
        assert len(columns) == 14 + 9 + 11 + 10 + 7
        for table, column, kind in columns:
            with altered(db, table, column, _OTHER[kind]):
                assert verify_shards(stores, 2).faults, (table, column)
        assert verify_shards(stores, 2).faults == []
        for table in TABLES:
            with db.transaction():
                db.execute(f"CREATE TABLE kept AS TABLE {table}")
                db.execute(f"DELETE FROM {table} WHERE ctid = (SELECT max(ctid) FROM {table})")
            assert verify_shards(stores, 2).faults, table
            db.execute(f"TRUNCATE {table}")
            db.execute(f"INSERT INTO {table} SELECT * FROM kept")
            db.execute("DROP TABLE kept")
        assert verify_shards(stores, 2).faults == []
