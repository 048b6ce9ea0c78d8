"""Carrying a command out on the books in memory: decide, apply, and write down what came of it.

The one piece that both runs the books (`shard.py`) and checks them (`replay.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from kessai.v1.decline_pb2 import DeclineReason
from server.domain.command import ACCEPTED, Command, Decision, Place, State
from server.domain.document import Document
from server.domain.refusal import decline_for
from server.ledger.books import Books
from server.ledger.relocation import put_in, take_out
from server.ledger.result import TransferResult
from server.shards.settlement_log import LogRow, RowTime, log_row
from server.shards.store import BookedEntry, OutboxRow, Tail


class Outcome(NamedTuple):
    """What came of a command: its log row, and what else is to be stored.

    Of a command that was declined the decision is just that.
    """

    row: LogRow
    decision: Decision
    entries: Sequence[BookedEntry]
    debts: Sequence[OutboxRow]


def carry_out(
    command: Command,
    books: Books,
    documents: dict[bytes, Document],
    place: Place,
    time: RowTime,
    last: Tail | LogRow,
) -> Outcome:
    """Decide a command on the books and documents as they stand, after the log row `last`.

    It is decided at the time of decision, and booked at the booking time. Books and documents are
    changed if it is accepted, and left alone if it is declined.
    """
    written = len(books.entries)
    decision = command.decide(State(books, place, documents), time.decide_us)
    decline = _apply(command, decision, books, time.decide_us)
    row = log_row(last.sequence + 1, command, time, decline, last.chain_hash)
    if decline != ACCEPTED:
        return Outcome(row, Decision(decline), (), ())
    for document in decision.documents:
        documents[document.id] = document
    for document_id in decision.drops:
        del documents[document_id]
    booked = (time.book_us, command.request_id, row.sequence)
    entries = [BookedEntry._make(entry[:-1] + booked) for entry in books.entries[written:]]
    debts = [OutboxRow(row.sequence, command.request_id, *owed) for owed in decision.owes]
    return Outcome(row, decision, entries, debts)


def _apply(
    command: Command, decision: Decision, books: Books, now_us: int
) -> DeclineReason.ValueType:
    if decision.decline != ACCEPTED:
        return decision.decline
    for account in decision.opens:
        books.open(account)
    result = books.apply(decision.transfers, now_us)
    if result is not TransferResult.OK:
        for account in decision.opens:
            books.take_back(account)
        return decline_for(result)
    for hold_id in decision.expires:
        books.expire(books.holds[hold_id], command.transfer_id)
    if decision.takes_out is not None:
        take_out(books, decision.takes_out)
    if decision.puts_in is not None:
        put_in(books, decision.puts_in)
    return ACCEPTED
