"""Deciding the settlement log again: what the books must be, from the log alone.

Used by `verify.py`, and by tests that rebuild the books.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from server.domain.arrival import arrival_id
from server.domain.command import ACCEPTED, CommandKind, Decision, State
from server.domain.refusal import decline_for
from server.ledger.books import Books
from server.ledger.result import TransferResult
from server.shards.placement import ShardPlace
from server.shards.settlement_log import CHAIN_START, LogRow, log_row
from server.shards.store import BookedEntry, OutboxRow

Digest = bytes


class Replay:
    """One shard's books as its log gives them; rows are fed in order."""

    def __init__(self, place: ShardPlace) -> None:
        self.place = place
        self.books = Books()
        self.digests: dict[int, Digest] = {}
        self.owed: dict[bytes, OutboxRow] = {}
        self.arrived: dict[bytes, LogRow] = {}
        self.sequence = 0
        self._chain_hash = CHAIN_START

    def feed(self, row: LogRow) -> Iterator[str]:
        """Check a row against the chain, decide it again, and say what is wrong."""
        where = f"shard {self.place.shard}, log row {row.sequence}"
        if row.sequence != self.sequence + 1:
            yield f"{where}: row {self.sequence + 1} is missing"
        before, self._chain_hash, self.sequence = self._chain_hash, row.chain_hash, row.sequence
        try:
            yield from (f"{where}: {fault}" for fault in self._decide(row, before))
        except Exception as error:  # a row that was tampered with may fail anywhere
            yield f"{where}: cannot be decided again ({error!r})"

    def _decide(self, row: LogRow, before: bytes) -> Iterator[str]:
        command = row.command()
        if log_row(row.sequence, command, row.book_us, row.decline, before) != row:
            yield "the hash chain is broken"
        decision = command.decide(State(self.books, self.place), row.book_us)
        self.books.entries.clear()
        decline = self._apply(decision, row)
        if decline != row.decline:
            yield f"decided {row.decline}, must be {decline}"
        if decline == ACCEPTED:
            self._record(decision, row)

    def _apply(self, decision: Decision, row: LogRow) -> int:
        if decision.decline != ACCEPTED:
            return decision.decline
        self.books.accounts.update((account.id, account) for account in decision.opens)
        result = self.books.apply(decision.transfers, row.book_us)
        if result is not TransferResult.OK:
            return decline_for(result)
        for hold_id in decision.expires:
            self.books.expire(self.books.holds[hold_id])
        return ACCEPTED

    def _record(self, decision: Decision, row: LogRow) -> None:
        for e in self.books.entries:
            add_entry(
                self.digests,
                BookedEntry(
                    e.account, e.sequence, e.amount, e.balance, e.counterparty, e.code,
                    row.book_us, row.request_id, row.sequence,
                ),
            )  # fmt: skip
        for o in decision.owes:
            self.owed[arrival_id(row.request_id)] = OutboxRow(
                row.sequence, row.request_id, o.payer, o.payee, o.amount, o.ledger, o.code
            )
        if row.kind == CommandKind.ARRIVE:
            self.arrived[row.request_id] = row


def add_entry(digests: dict[int, Digest], entry: BookedEntry) -> None:
    """Take an account's next entry into its digest."""
    content = digests.get(entry.account, b"") + repr(tuple(entry)).encode()
    digests[entry.account] = hashlib.sha256(content).digest()
