"""Deciding the settlement log again: what the books must be, from the log alone.

Used by `verify.py`, and by tests that rebuild the books.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from server.domain.arrival import arrival_id
from server.domain.command import ACCEPTED, CommandKind
from server.domain.document import Document
from server.ledger.books import Books
from server.shards.carry_out import carry_out
from server.shards.placement import ShardPlace
from server.shards.settlement_log import CHAIN_START, LogRow
from server.shards.store import BookedEntry, OutboxRow, Tail

Digest = bytes


class Replay:
    """One shard's books as its log gives them; rows are fed in order."""

    def __init__(self, place: ShardPlace) -> None:
        self.place = place
        self.books = Books()
        self.documents: dict[bytes, Document] = {}
        self.digests: dict[int, Digest] = {}
        self.owed: dict[bytes, OutboxRow] = {}
        self.arrived: dict[bytes, LogRow] = {}
        self._tail = Tail(0, CHAIN_START, 0)

    @property
    def sequence(self) -> int:
        """The row that was fed last, or 0."""
        return self._tail.sequence

    def feed(self, row: LogRow) -> Iterator[str]:
        """Check a row against the chain, decide it again, and say what is wrong."""
        where = f"shard {self.place.shard}, log row {row.sequence}"
        if row.sequence != self.sequence + 1:
            yield f"{where}: row {self.sequence + 1} is missing"
        before = Tail(row.sequence - 1, self._tail.chain_hash, self._tail.book_us)
        self._tail = Tail(row.sequence, row.chain_hash, row.book_us)
        try:
            yield from (f"{where}: {fault}" for fault in self._decide(row, before))
        except Exception as error:  # a row that was tampered with may fail anywhere
            yield f"{where}: cannot be decided again ({error!r})"

    def _decide(self, row: LogRow, before: Tail) -> Iterator[str]:
        self.books.start_group()
        outcome = carry_out(
            row.command(), self.books, self.documents, self.place, row.book_us, before
        )
        if outcome.row.decline != row.decline:
            yield f"decided {row.decline}, must be {outcome.row.decline}"
        elif outcome.row != row:
            yield "the hash chain is broken"
        for entry in outcome.entries:
            add_entry(self.digests, entry)
        for debt in outcome.debts:
            self.owed[arrival_id(row.request_id)] = debt
        if row.kind == CommandKind.ARRIVE and outcome.row.decline == ACCEPTED:
            self.arrived[row.request_id] = row


def add_entry(digests: dict[int, Digest], entry: BookedEntry) -> None:
    """Take an account's next entry into its digest."""
    content = digests.get(entry.account, b"") + repr(tuple(entry)).encode()
    digests[entry.account] = hashlib.sha256(content).digest()
