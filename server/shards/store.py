"""What a shard needs of its database: the port that SQLite (and another engine) fills.

One writer a shard uses `Store`: one read and one commit for a whole group. Reads of people go
through `Reader`, which sees only what is committed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from server.domain.document import Document
from server.ledger.account import Account
from server.ledger.transfer import Hold
from server.shards.placement import Moved
from server.shards.settlement_log import LogRow


class StoreUnavailable(Exception):
    """The database cannot take or give anything now; the message says why."""


class StoreDamaged(StoreUnavailable):
    """What the database holds cannot be read any more: there is no answer to be had from it."""


class BookedEntry(NamedTuple):
    """An entry as it is kept: one side of a movement, with when and by which request."""

    account: int
    sequence: int
    amount: int
    balance: int
    counterparty: int
    code: int
    book_us: int
    request_id: bytes
    log_sequence: int


class OutboxRow(NamedTuple):
    """Money owed to a payee on another shard, by the log row that took it from its payer.

    `code` is the kind of movement that its arrival will be.
    """

    log_sequence: int
    request_id: bytes
    payer: int
    payee: int
    amount: int
    ledger: int
    code: int


class Tail(NamedTuple):
    """The last row of a shard's log, or (0, zeros, 0) before the first."""

    sequence: int
    chain_hash: bytes
    book_us: int

    @classmethod
    def at(cls, row: LogRow) -> Tail:
        """Give the tail of a log that ends with a row."""
        return cls(row.sequence, row.chain_hash, row.book_us)


class Span(NamedTuple):
    """Entries of an account, from sequence `first` to `last`."""

    account: int
    first: int
    last: int


class Residents(NamedTuple):
    """What is in a slot: accounts, their documents, and pending holds of which they are a side."""

    accounts: list[Account]
    holds: list[Hold]
    documents: list[Document]


@dataclass(slots=True)
class Batch:
    """What a group of commands changes; written in one commit or not at all.

    Outbox rows up to the log sequence `delivered_to` are deleted, but for those in `undelivered`.
    `opened` are the accounts among `accounts` that are new here. Where a slot moves: `moved` says
    so, what is in `left_...` is deleted; `copied` are entries of a slot that is not here yet, some
    maybe there already; `swept`, of one that went, are deleted. `tie` is the number under which the
    directory has noted this shard's place; 0: no new one.
    """

    rows: list[LogRow] = field(default_factory=list)
    entries: list[BookedEntry] = field(default_factory=list)
    accounts: dict[int, Account] = field(default_factory=dict)
    holds: dict[int, Hold] = field(default_factory=dict)
    documents: dict[bytes, Document] = field(default_factory=dict)
    outbox: list[OutboxRow] = field(default_factory=list)
    delivered_to: int = 0
    undelivered: set[int] = field(default_factory=set)
    opened: list[int] = field(default_factory=list)
    moved: list[Moved] = field(default_factory=list)
    left_accounts: list[int] = field(default_factory=list)
    left_holds: list[int] = field(default_factory=list)
    left_documents: set[bytes] = field(default_factory=set)
    copied: list[BookedEntry] = field(default_factory=list)
    tie: int = 0
    swept: list[Span] = field(default_factory=list)

    def note(self, documents: Sequence[Document], drops: Sequence[bytes]) -> None:
        """Take in what a command makes of documents: the last one to say so counts."""
        for document in documents:
            self.documents[document.id] = document
            self.left_documents.discard(document.id)
        for document_id in drops:
            self.documents.pop(document_id, None)
            self.left_documents.add(document_id)


class Total(NamedTuple):
    """The sum over all accounts of a kind (`code`) and currency (`ledger`) in a shard."""

    code: int
    ledger: int
    accounts: int
    debits_posted: int
    credits_posted: int


class Store(Protocol):
    """The writer's side, a group at a time: `begin`, then reads, then `commit` or `abandon`.

    Between `begin` and its end nobody else changes the shard, though between two groups another
    switch may. Every call may raise StoreUnavailable; then the group is to be abandoned.
    """

    def begin(self) -> Tail:
        """Take the shard for a group, and give the tail of its log."""
        ...

    def rows(self, request_ids: Sequence[bytes]) -> dict[bytes, LogRow]:
        """Find the log rows of request ids."""
        ...

    def accounts(self, ids: Sequence[int]) -> list[Account]:
        """Load accounts; those that do not exist are left out."""
        ...

    def holds(self, ids: Sequence[int]) -> list[Hold]:
        """Load holds; those that do not exist are left out."""
        ...

    def documents(self, ids: Sequence[bytes]) -> list[Document]:
        """Load documents; those that do not exist are left out."""
        ...

    def moved(self) -> list[Moved]:
        """List the slots that came or went; at most 1024."""
        ...

    def residents(self, slot: int) -> Residents:
        """Load all that is in a slot that is here, by id."""
        ...

    def commit(self, batch: Batch) -> None:
        """Write a batch durably, or nothing of it, and end the group.

        A failed fsync of our own ends the process. After StoreUnavailable it may be that a server
        far away has written it: the next `begin` tells by the tail.
        """
        ...

    def abandon(self) -> None:
        """End the group without a change; never raises."""
        ...

    def close(self) -> None:
        """Close the database."""
        ...


class Reader(Protocol):
    """The side of people who look. Every call may raise StoreUnavailable."""

    def account(self, account_id: int) -> Account | None:
        """Give an account, or None."""

    def accounts(self, ids: Sequence[int]) -> list[Account]:
        """Give accounts, all as they are at one moment; those that do not exist are left out."""

    def accounts_after(self, account_id: int, owner: str, limit: int) -> list[Account]:
        """List people's accounts with ids above one, by id; "": of all owners."""

    def holding(self, first: int, last: int, limit: int) -> list[Account]:
        """List the accounts that hold money, among those with ids from `first` to `last`."""

    def statement(
        self, account_id: int, before: int, limit: int
    ) -> tuple[Account | None, list[BookedEntry]]:
        """Give an account and its newest entries below sequence `before` (0: all), in one read."""

    def row(self, request_id: bytes) -> LogRow | None:
        """Find the log row of a request id."""

    def document(self, document_id: bytes) -> Document | None:
        """Give a document, or None."""

    def last_sequence(self) -> int:
        """Tell the sequence of the newest log row, or 0."""

    def last_book_us(self) -> int:
        """The booking time of the newest log row, microseconds since 1970, or 0."""
        ...

    def rows_after(self, sequence: int, limit: int) -> list[LogRow]:
        """List the log rows after a sequence in order, at most so many."""
        ...

    def rows_holding(self, needle: bytes, after: int, last: int) -> list[LogRow]:
        """Rows whose body holds some bytes, after a sequence up to another, newest first."""
        ...

    def recent_request_ids(self, since_us: int) -> list[bytes]:
        """List the request ids made and booked since a time, microseconds since 1970.

        Few also while booking time stands still, as it does after a clock that ran ahead.
        """
        ...

    def outbox(self, limit: int) -> list[OutboxRow]:
        """List what is owed, oldest first."""
        ...

    def hold(self, hold_id: int) -> Hold | None:
        """Give a hold, or None."""
        ...

    def due_holds(self, now_us: int, limit: int) -> list[Hold]:
        """List pending holds whose time is over."""

    def awaits(self, payee: int) -> bool:
        """Whether a pending hold pays an account, on this shard or another."""

    def totals(self) -> list[Total]:
        """Add up the accounts by kind and currency."""
        ...

    def tie(self) -> int:
        """The number of the newest tie that the shard was told, or 0."""
        ...

    def moved(self) -> list[Moved]:
        """List the slots that came or went; at most 1024."""
        ...

    def residents(self, slot: int) -> list[Account]:
        """List the accounts of a slot that is here, by id."""
        ...

    def log(self) -> Iterator[LogRow]:
        """Walk the whole log in order."""
        ...

    def all_accounts(self) -> Iterator[Account]:
        """Walk all accounts in order of their ids."""
        ...

    def all_entries(self) -> Iterator[BookedEntry]:
        """Walk all entries in order of account and sequence."""
        ...

    def all_outbox(self) -> Iterator[OutboxRow]:
        """Walk all that is owed, oldest first."""
        ...

    def all_holds(self) -> Iterator[Hold]:
        """Walk all holds in order of their ids."""
        ...

    def all_documents(self) -> Iterator[Document]:
        """Walk all documents in order of their ids."""
        ...

    def faults(self) -> list[str]:
        """Check the database itself, as its engine can; what is wrong, for people."""
        ...

    def snapshot(self) -> None:
        """Let every read from here on see the same moment, until `close`."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...
