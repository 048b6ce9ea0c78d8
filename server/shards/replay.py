"""Deciding the settlement log again: what the books must be, from the log alone.

Used by `verify.py`, and by tests that rebuild the books.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kessai.v1.shard_pb2 import SlotMove
from server.domain.arrival import arrival_id
from server.domain.command import ACCEPTED, Command, CommandKind
from server.domain.document import Document
from server.domain.slot_move import MoveIn, MoveOut
from server.domain.suspense import ReleaseSuspense
from server.ledger.books import Books
from server.ledger.chart import AccountKind, house_account_id
from server.shards.carry_out import FAULT, NEVER_DECLINED, Outcome, carry_out
from server.shards.entry_digest import Digests, add_entry
from server.shards.placement import ShardPlace
from server.shards.relocate import moved_by
from server.shards.settlement_log import CHAIN_START, LogRow, chain
from server.shards.store import OutboxRow, Tail


@dataclass(frozen=True, slots=True)
class Left:
    """A slot that left: the row of it, what went, and the digests of its entries by account."""

    row: LogRow
    move: SlotMove
    digests: dict[int, bytes]


@dataclass(frozen=True, slots=True)
class Came:
    """A slot that came: the row of it, and what it says that came."""

    row: LogRow
    move: SlotMove


class Replay:
    """One shard's books as its log gives them; rows are fed in order.

    `owed` and `arrived` grow with the log, unless they are taken away as rows are fed. `failed`
    counts rows that were declined because the switch failed at them.
    """

    def __init__(self, place: ShardPlace) -> None:
        self.place = place
        self.books = Books()
        self.documents: dict[bytes, Document] = {}
        self.digests: dict[int, Digests] = {}
        self.owed: list[OutboxRow] = []
        self.arrived: list[LogRow] = []
        self.suspended: dict[bytes, int] = {}
        self.left: dict[bytes, Left] = {}
        self.came: dict[bytes, Came] = {}
        self.failed = 0
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

    def let_go(self) -> None:
        """Forget the books; how far they went, and which slots left and came, is still known."""
        self.books = Books()
        self.documents.clear()
        self.digests.clear()

    def _decide(self, row: LogRow, before: Tail) -> Iterator[str]:
        if row.decline == FAULT:
            yield from self._pass_over(row, before)
            return
        self.books.start_group()
        command = row.command()
        outcome = carry_out(command, self.books, self.documents, self.place, row.time, before)
        if outcome.row.decline != row.decline:
            yield f"decided {row.decline}, must be {outcome.row.decline}"
        elif outcome.row != row:
            yield "the hash chain is broken"
        for entry in outcome.entries:
            add_entry(self.digests, entry)
        self.owed += outcome.debts
        if row.kind == CommandKind.ARRIVE and outcome.row.decline == ACCEPTED:
            self.arrived.append(row)
        yield from self._suspend(command, outcome)
        if isinstance(command, MoveOut):
            yield from self._leave(command, row)
        if isinstance(command, MoveIn):
            self._come(command, row)

    def _suspend(self, command: Command, outcome: Outcome) -> Iterator[str]:
        """Note what came into suspense; what is released must be that, once."""
        suspense = house_account_id(AccountKind.SUSPENSE, self.place.shard, command.ledger)
        if command.kind == CommandKind.ARRIVE:
            if any(entry.account == suspense for entry in outcome.entries):
                self.suspended[command.request_id] = command.amount
        elif isinstance(command, ReleaseSuspense) and outcome.row.decline == ACCEPTED:
            came = (suspense, self.suspended.pop(command.arrival, None))
            if came != (command.payer, command.amount):
                yield "releases what did not come into suspense"

    def _pass_over(self, row: LogRow, before: Tail) -> Iterator[str]:
        """Take a row at which the switch failed as it is: it is chained, and nothing moved.

        It is not decided again, because the fault is mended one day and then decides otherwise. It
        hides nothing: its effect on the books is none, and verification counts such rows.
        """
        self.failed += 1
        if row.kind in NEVER_DECLINED:
            yield "a slot's move was declined"
        if chain(before.chain_hash, row.content) != row.chain_hash:
            yield "the hash chain is broken"

    def _leave(self, command: MoveOut, row: LogRow) -> Iterator[str]:
        move = command.move
        said = (move.source_shard, move.generation)
        if said != (self.place.shard, self.place.next_generation(move.slot)):
            yield f"slot {move.slot} leaves as move {move.generation} of shard {move.source_shard}"
        if not self.place.keeps(move.slot):
            yield f"slot {move.slot} leaves and is not here"
        digests = {
            account.id: self.digests.pop(account.id).of(account.digest_version)
            for account in command.move.accounts
            if account.id in self.digests
        }
        self.left[arrival_id(row.request_id)] = Left(row, command.move, digests)
        self.place.know([moved_by(command, row.book_us)])

    def _come(self, command: MoveIn, row: LogRow) -> None:
        accounts = command.move.accounts
        self.digests |= {
            a.id: Digests.came(a.digest_version, a.entry_digest) for a in accounts if a.entry_digest
        }
        self.came[row.request_id] = Came(row, command.move)
        self.place.know([moved_by(command, row.book_us)])
