"""A line to a shard on PostgreSQL that comes back by itself when the server or the network does.

A broken line is given up at the first trouble, so the server rolls back what was not committed; the
next use opens another one, at first at once, then ever less often. Used by the store and the reader
of `server/shards`, on one thread each.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import psycopg
import structlog
from psycopg.pq import TransactionStatus

from kessai.complaint import Complaint
from server.shards.postgres_schema import Line, open_shard
from server.shards.store import StoreUnavailable

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.1, 3.2

_Found = TypeVar("_Found")

log = structlog.get_logger("postgresql")


class _LineLost(StoreUnavailable):
    """The connection broke; whether its last statement was done is not known."""


class PostgresLine:
    """The connection of one writer or reader."""

    def __init__(self, url: str, shard: int, books_id: str, *, read_only: bool) -> None:
        """Connect; Complaint if the shard is not there or cannot be used."""
        self._shard = shard
        self._open: Callable[[], Line] = lambda: open_shard(
            url, shard, books_id, read_only=read_only
        )
        self._db: Line | None = self._open()
        self._wait_s, self._not_before_s = 0.0, 0.0
        self._pinned = False

    @contextmanager
    def use(self) -> Iterator[Line]:
        """Give the connection; whatever fails on the server's side becomes StoreUnavailable."""
        db = self._db or self._connect()
        try:
            yield db
        except (psycopg.OperationalError, psycopg.InternalError) as error:
            kind = _LineLost if db.broken else StoreUnavailable
            self.close()
            why = " ".join(str(error).split())
            log.warning("statement failed", shard=self._shard, why=why)
            raise kind(f"shard {self._shard}: {why}") from None

    def twice(self, work: Callable[[Line], _Found]) -> _Found:
        """Do what changes nothing: once more, if the connection turns out to be lost."""
        was_open = self._db is not None
        try:
            with self.use() as db:
                return work(db)
        except _LineLost:
            if not was_open:
                raise
        with self.use() as db:
            return work(db)

    def roll_back(self) -> None:
        """End a transaction, if one is open, without a change."""
        if self._db is None or self._db.info.transaction_status is TransactionStatus.IDLE:
            return
        try:
            self._db.execute("ROLLBACK")
        except psycopg.Error:
            self.close()

    def pin(self) -> None:
        """Keep to this connection: if it is lost, what was seen through it cannot be seen again."""
        self._pinned = True

    def close(self) -> None:
        """Close the connection; the server rolls back what was not committed."""
        if self._db is not None:
            self._db.close()
        self._db = None

    def _connect(self) -> Line:
        if self._pinned or time.monotonic() < self._not_before_s:
            raise StoreUnavailable(f"shard {self._shard}: its server cannot be reached")
        try:
            self._db = self._open()
        except Complaint as complaint:
            self._wait_s = min(max(_FIRST_WAIT_S, 2 * self._wait_s), _LONGEST_WAIT_S)
            self._not_before_s = time.monotonic() + self._wait_s
            log.warning("not connected", shard=self._shard, why=str(complaint))
            raise StoreUnavailable(f"shard {self._shard}: its server cannot be reached") from None
        self._wait_s = 0.0
        log.info("connected again", shard=self._shard)
        return self._db
