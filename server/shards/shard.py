"""One shard at work: takes commands in groups, decides one after another, commits once.

One fsync, many answers: what is read for the whole group is read at once, every command is decided
in memory on the books as the ones before it left them, and everything is written in one commit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar, overload

import structlog

from server.domain.command import Command, CommandKind, Needs
from server.domain.document import Document
from server.domain.slot_move import MoveIn
from server.ledger.books import Books
from server.shards.carry_out import CommandRefused, carry_out_or_decline, refuse_unwritable
from server.shards.groups import WritingLane, writing_lane
from server.shards.jobs import (
    Answer,
    Arrivals,
    Delivered,
    Job,
    Outcome,
    Several,
    Sought,
    Tied,
    Work,
    commands_of,
    unless_accepted,
)
from server.shards.placement import ShardPlace
from server.shards.reading import Reading
from server.shards.relocate import Copied, Depart, SlotMoved, Swept, relocate
from server.shards.settlement_log import CHAIN_START, LogRow, RequestIdReused, RowTime
from server.shards.store import Batch, Reader, Store, Tail

ACCOUNTS_IN_MEMORY = 25_000

# Of what is in memory nothing is trusted while the tail is not known.
_UNKNOWN = Tail(-1, CHAIN_START, 0)
_ARRIVE = CommandKind.ARRIVE

# No account and no hold has such a number; whoever names one finds nothing.
_ACCOUNTS_END, _HOLDS_END = 2**63, 2**128

log = structlog.get_logger("shards")

Found = TypeVar("Found")

OnWritten = Callable[[int, Sequence[LogRow]], None]


def nobody_listens(shard: int, rows: Sequence[LogRow]) -> None:
    """Take what a shard has written, and do nothing with it."""


class ShardWriter:
    """The only one who writes a shard, in groups, one after another.

    `now_us` gives microseconds since 1970. By it commands are decided, also if it went back;
    booking times never do.
    `on_owed` is called after a commit that owes money to other shards, `on_written` after each,
    with its log rows but for arrivals; both where it was written.
    """

    def __init__(
        self,
        place: ShardPlace,
        store: Store,
        now_us: Callable[[], int],
        on_owed: Callable[[int], None],
        on_written: OnWritten = nobody_listens,
    ) -> None:
        self.place = place
        self._store = store
        self._now_us = now_us
        self._on_owed, self._on_written = on_owed, on_written
        self._books = Books()
        self._documents: dict[bytes, Document] = {}
        self._absent: set[int] = set()
        self._tail = _UNKNOWN
        self._time = RowTime(0, 0)
        self._aside: dict[int, Exception] = {}

    def close(self) -> None:
        """Close the database."""
        self._store.close()

    def write(self, group: Sequence[Work], failed: Exception | None = None) -> Sequence[Answer]:
        """Work a group of jobs in one commit; an answer for each, in order.

        If it `failed` before, its commands are declined. Whatever this raises, nothing was written.
        """
        every = [command for job in group for command in commands_of(job)]
        commands = self._set_aside(every, failed)
        batch = Batch()
        try:
            self._take_up(self._store.begin())
            known = self._load(commands)
            answers = [self._work(job, known, batch) for job in group]
            self._tail = Tail.at(batch.rows[-1]) if batch.rows else self._tail
            batch.accounts, batch.holds = self._books.changed_accounts, self._books.changed_holds
            moves = batch.copied or batch.swept or batch.moved
            if batch.rows or batch.delivered_to or moves or batch.tie:
                self._store.commit(batch)
            else:
                self._store.abandon()
        except BaseException:
            self._store.abandon()
            self._tail = _UNKNOWN
            raise
        self._tell(batch)
        return answers

    def relocate(self, job: Depart | MoveIn) -> LogRow:
        """Let a slot leave or come, in one commit; what is in memory is forgotten."""
        try:
            self._take_up(self._store.begin())
            return relocate(job, self._store, self.place, self._tail, self._time)
        finally:
            self._store.abandon()
            self._tail = _UNKNOWN

    def _tell(self, batch: Batch) -> None:
        told = [row for row in batch.rows if row.kind != _ARRIVE or row.decline]
        try:
            if batch.outbox:
                self._on_owed(self.place.shard)
            if told:
                self._on_written(self.place.shard, told)
        except Exception as error:  # what is committed is answered, whoever cannot hear of it
            log.error("nobody was told of rows", shard=self.place.shard, exc_info=error)

    def _set_aside(
        self, commands: Sequence[Command], failed: Exception | None
    ) -> Sequence[Command]:
        """Note which commands are refused, or declined undecided; give all but the refused."""
        self._aside = {id(c): why for c in commands if (why := refuse_unwritable(c)) is not None}
        if self._aside:
            commands = [command for command in commands if id(command) not in self._aside]
        if failed is not None:
            self._aside |= dict.fromkeys(map(id, commands), failed)
        return commands

    def _take_up(self, tail: Tail) -> None:
        # Where another switch has been at work since, what is in memory is out of date.
        if tail != self._tail:
            self._forget()
            self.place.know(self._store.moved())
        self._tail = tail
        self._time = RowTime.after(tail.book_us, self._now_us())

    def _forget(self) -> None:
        self._books = Books()
        self._absent.clear()

    def _load(self, commands: Sequence[Command]) -> dict[bytes, LogRow]:
        if not commands:
            return {}
        needs = [Needs(()), *self._needs(commands)]
        account_ids, hold_ids, document_ids = (
            set[Any]().union(*ids) for ids in zip(*needs, strict=True)
        )
        if len(self._books.accounts) + len(self._absent) > ACCOUNTS_IN_MEMORY:
            self._forget()
        books, absent = self._books, self._absent
        books.start_group()
        unknown = account_ids.difference(books.accounts).difference(absent)
        missing = sorted(i for i in unknown if 0 < i < _ACCOUNTS_END)
        if missing:
            books.accounts.update((a.id, a) for a in self._store.accounts(missing))
            absent.update(i for i in missing if i not in books.accounts)
        holds = sorted(i for i in hold_ids if 0 <= i < _HOLDS_END)
        books.holds = {h.id: h for h in self._store.holds(holds)} if holds else {}
        found = self._store.documents(sorted(document_ids)) if document_ids else []
        self._documents = {document.id: document for document in found}
        return self._store.rows([command.request_id for command in commands])

    def _needs(self, commands: Sequence[Command]) -> Iterator[Needs]:
        for command in commands:
            if id(command) not in self._aside:
                try:
                    yield command.needs(self.place)
                except Exception as error:
                    self._aside[id(command)] = error

    def _work(self, job: Work, known: dict[bytes, LogRow], batch: Batch) -> Answer:
        if isinstance(job, tuple):
            outcomes = tuple(self._take(command, known, batch) for command in job)
            return tuple(map(unless_accepted, outcomes)) if isinstance(job, Arrivals) else outcomes
        if isinstance(job, Command):
            return self._take(job, known, batch)
        if isinstance(job, Sought):
            return self._take(job.command, known, batch, job.generation)
        if isinstance(job, Copied):
            if self.place.next_generation(job.slot) <= job.generation:
                batch.copied += job.entries
        elif isinstance(job, Swept):
            self._sweep(job, batch)
        elif isinstance(job, Tied):
            batch.tie = max(batch.tie, job.number)
        else:
            self._tick_off(job, batch)
        return None

    def _tick_off(self, job: Delivered, batch: Batch) -> None:
        batch.delivered_to = max(batch.delivered_to, job.log_sequence)
        batch.undelivered |= job.but

    def _sweep(self, job: Swept, batch: Batch) -> None:
        # What is left of a slot that went is removed only while it is known to be away.
        if job.left in self._store.moved():
            batch.swept += job.spans
            batch.moved += [job.left._replace(is_clean=1)] if job.is_last else []

    def _take(
        self, command: Command, known: dict[bytes, LogRow], batch: Batch, sought_to: int = 0
    ) -> Outcome:
        aside = self._aside.get(id(command))
        if isinstance(aside, CommandRefused):
            return aside
        first = known.get(command.request_id)
        if first is not None:
            same = first.input_hash == command.input_hash and first.kind == command.kind
            return first if same else RequestIdReused()
        if self.place.may_be_elsewhere(command.home(), command.request_id, sought_to):
            return SlotMoved()
        known[command.request_id] = row = self._decide(command, batch, aside)
        return row

    def _decide(self, command: Command, batch: Batch, failed: Exception | None) -> LogRow:
        last = batch.rows[-1] if batch.rows else self._tail
        row, decision, entries, debts = carry_out_or_decline(
            command, self._books, self._documents, self.place, self._time, last, failed
        )
        batch.rows.append(row)
        batch.entries += entries
        batch.outbox += debts
        for account in decision.opens:
            self._absent.discard(account.id)
            batch.opened.append(account.id)
        batch.note(decision.documents, decision.drops)
        return row


class Shard(ShardWriter):
    """A shard that is written in this process, on a lane that others may share."""

    def __init__(
        self,
        place: ShardPlace,
        store: Store,
        reader: Reader,
        now_us: Callable[[], int],
        on_owed: Callable[[int], None],
        writing: WritingLane | None = None,
        on_written: OnWritten = nobody_listens,
    ) -> None:
        super().__init__(place, store, now_us, on_owed, on_written)
        self._writing = writing or writing_lane(f"shard-{place.shard}")
        self._reading = Reading(place.shard, reader)

    @overload
    def submit(self, job: Command | Sought) -> asyncio.Future[LogRow]: ...
    @overload
    def submit(self, job: Several) -> asyncio.Future[tuple[Outcome, ...]]: ...
    @overload
    def submit(self, job: Delivered | Tied | Copied | Swept) -> asyncio.Future[None]: ...
    @overload
    def submit(self, job: Depart) -> asyncio.Future[LogRow]: ...

    def submit(self, job: Job) -> asyncio.Future[Any]:
        """Queue a command; its log row comes back once it is durable, declined or done.

        Raises RequestIdReused, SlotMoved, StoreUnavailable, LaneFull, LaneClosed. A command that
        was done before gets the row of the first time. Several commands are one job, in one
        commit: a row, RequestIdReused or SlotMoved comes back for each.
        """
        return self._writing.submit((self, job))

    async def read(self, look: Callable[[Reader], Found]) -> Found:
        """Look into what is committed; StoreUnavailable if the database cannot."""
        return await self._reading.read(look)

    def drain(self) -> None:
        """Work what has queued up, and end reading: only the writer has the database open then."""
        self._writing.close()
        self._reading.close()

    def close(self) -> None:
        """Drain, then close the database."""
        self.drain()
        super().close()
