"""Carrying a command out on the books in memory: decide, apply, and write down what came of it.

The one piece that both runs the books (`shard.py`) and checks them (`replay.py`). A command that
raises while it is decided is declined with SWITCH_FAULT: nothing moves, its row gives the same
answer for ever, and no other command of its group knows of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import structlog

from kessai.request_id import format_request_id
from kessai.v1 import decline_pb2 as d
from kessai.v1.decline_pb2 import DeclineReason
from server.domain.command import ACCEPTED, Command, CommandKind, Decision, Place, State
from server.domain.document import Document
from server.domain.refusal import decline_for
from server.ledger.books import Books
from server.ledger.relocation import put_in, take_out
from server.ledger.result import TransferResult
from server.shards.settlement_log import LogRow, RowTime, log_row
from server.shards.store import BookedEntry, OutboxRow, Tail

FAULT = d.DECLINE_REASON_SWITCH_FAULT

# These come in commits of their own (`relocate.py`).
NEVER_DECLINED = (CommandKind.MOVE_OUT, CommandKind.MOVE_IN)

# What is owed under an id stays owed under it: declined, it could never arrive.
_TRIED_AGAIN = CommandKind.ARRIVE

_MAX_INT64, _MAX_LEDGER = 2**63 - 1, 2**16 - 1
_ID_BYTES, _HASH_BYTES, _MAX_BODY_BYTES = 16, 32, 4 * 1024 * 1024

log = structlog.get_logger("shards")


class CommandRefused(Exception):
    """A command that no row of the log can hold. Nothing was done."""


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
    decision = command.decide(State(books, place, documents), time.decide_us)
    return _put_into_effect(command, decision, books, documents, time, last)


def carry_out_or_decline(
    command: Command,
    books: Books,
    documents: dict[bytes, Document],
    place: Place,
    time: RowTime,
    last: Tail | LogRow,
    failed: Exception | None = None,
) -> Outcome:
    """As `carry_out`; a command that `failed` before, or cannot be decided, is declined and told.

    An arrival is not: what failed is raised, nothing is written, and it may be tried again.
    What raises after it was decided has maybe changed the books: they are of no use any more.
    """
    decision = Decision(FAULT)
    if failed is None:
        try:
            decision = command.decide(State(books, place, documents), time.decide_us)
        except MemoryError:
            raise
        except Exception as error:
            failed = error
    if failed is not None and command.kind == _TRIED_AGAIN:
        raise failed
    if failed is not None:
        incident, kind = format_request_id(command.request_id), command.kind.name
        log.error("a command failed", incident=incident, kind=kind, exc_info=failed)
    return _put_into_effect(command, decision, books, documents, time, last)


def refuse_unwritable(command: Command) -> CommandRefused | None:
    """Why no row of the log can hold a command; None if one can."""
    c = command
    try:
        if (
            c.kind not in NEVER_DECLINED
            and len(c.request_id) == _ID_BYTES
            and len(c.input_hash) == _HASH_BYTES
            and 0 <= c.payer <= _MAX_INT64
            and 0 <= c.payee <= _MAX_INT64
            and -_MAX_INT64 - 1 <= c.amount <= _MAX_INT64
            and 0 <= c.ledger <= _MAX_LEDGER
            and len(c.body) <= _MAX_BODY_BYTES
        ):
            return None
    except TypeError:
        pass
    return CommandRefused("the log holds no request with such numbers, or of such a size")


def _put_into_effect(
    command: Command,
    decision: Decision,
    books: Books,
    documents: dict[bytes, Document],
    time: RowTime,
    last: Tail | LogRow,
) -> Outcome:
    written = len(books.entries)
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
    for marked in decision.marks:
        books.mark(*marked)
    if decision.takes_out is not None:
        take_out(books, decision.takes_out)
    if decision.puts_in is not None:
        put_in(books, decision.puts_in)
    return ACCEPTED
