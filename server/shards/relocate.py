"""A slot leaves a shard or comes to it: what its writer does then, in a group of its own.

Books are loaded for it alone, and what the shard has in memory is forgotten afterwards, so the way
of payments knows nothing of this. Called by `shard.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

from kessai.v1.shard_pb2 import SlotMove
from server.domain.command import Command
from server.domain.document import Document
from server.domain.slot_move import (
    MoveIn,
    MoveOut,
    move_out,
    write_accounts,
    write_documents,
    write_holds,
)
from server.ledger.books import Books
from server.ledger.relocation import as_they_leave
from server.shards.carry_out import carry_out
from server.shards.entry_digest import PACKED, SHOWN
from server.shards.placement import Moved, ShardPlace
from server.shards.settlement_log import LogRow, RequestIdReused, RowTime
from server.shards.store import Batch, BookedEntry, Span, Store, Tail


class SlotMoved(Exception):
    """The slot that a command belongs to is not in this shard any more. Nothing was done."""


@dataclass(frozen=True, slots=True)
class Depart:
    """A slot leaves for another shard, under a move's id: a UUIDv7 of its own.

    It is the slot's `generation`-th move, from 1, or another switch has moved it meanwhile.
    """

    move_id: bytes
    slot: int
    target: int
    generation: int


@dataclass(frozen=True, slots=True)
class Copied:
    """Entries of a slot that is to come here. They are written once, however often they come.

    And not at all once the slot has come by its `generation`-th move, or a later one: it may have
    gone on since, and what was removed then must not come back.
    """

    entries: tuple[BookedEntry, ...]
    slot: int
    generation: int


@dataclass(frozen=True, slots=True)
class Swept:
    """Entries of a slot that `left`, to be removed; after the last of them it is clean."""

    left: Moved
    spans: tuple[Span, ...]
    is_last: bool


Relocating = Depart | MoveIn


def relocate(job: Relocating, store: Store, place: ShardPlace, tail: Tail, time: RowTime) -> LogRow:
    """Let a slot leave or come, in one commit; the log row of it, or of the first time.

    SlotMoved if it is not here to leave; RequestIdReused if the id is another command's.
    """
    first = store.rows([_row_id(job)]).get(_row_id(job))
    if first is not None:
        store.abandon()
        return _checked(first, job)
    command = job if isinstance(job, MoveIn) else _departure(job, store, place)
    books, documents = _load(command, store, place)
    outcome = carry_out(command, books, documents, place, time, tail)
    move = command.move
    batch = Batch(
        rows=[outcome.row],
        entries=[*outcome.entries],
        accounts=dict(books.accounts),
        holds=dict(books.holds),
        documents=documents,
        left_documents=set(outcome.decision.drops),
    )
    leaves = isinstance(command, MoveOut)
    if leaves:
        batch.left_accounts = [account.id for account in move.accounts]
        batch.left_holds = [int.from_bytes(hold.id, "big") for hold in move.holds]
    else:
        batch.opened = [account.id for account in move.accounts]
    batch.moved = [moved_by(command, time.book_us)]
    store.commit(batch)
    return outcome.row


def moved_by(command: MoveOut | MoveIn, book_us: int) -> Moved:
    """Say what a shard knows of a slot after its row."""
    move = command.move
    leaves_entries = isinstance(command, MoveOut) and any(a.sequence for a in move.accounts)
    is_clean = int(not leaves_entries)
    return Moved(
        move.slot, move.target_shard, move.generation, command.request_id, book_us, is_clean
    )


def _row_id(job: Relocating) -> bytes:
    return job.move_id if isinstance(job, Depart) else job.request_id


def _checked(first: LogRow, job: Relocating) -> LogRow:
    said = first.command()
    if isinstance(job, Depart):
        same = isinstance(said, MoveOut) and said.move.slot == job.slot
    else:
        same = first.input_hash == job.input_hash and isinstance(said, MoveIn)
    if not same:
        raise RequestIdReused
    return first


def _departure(job: Depart, store: Store, place: ShardPlace) -> MoveOut:
    if not place.keeps(job.slot) or place.next_generation(job.slot) != job.generation:
        raise SlotMoved
    residents = store.residents(job.slot)
    accounts, holds, staying = as_they_leave(residents.accounts, residents.holds)
    move = SlotMove(
        slot=job.slot,
        source_shard=place.shard,
        target_shard=job.target,
        generation=place.next_generation(job.slot),
        accounts=write_accounts(accounts),
        holds=write_holds(holds),
        staying_hold_ids=[hold_id.to_bytes(16, "big") for hold_id in staying],
        documents=write_documents(residents.documents),
    )
    shown = _digested_as_shown(job.slot, store)
    for account in move.accounts:
        account.digest_version = SHOWN if account.id in shown else PACKED
    return move_out(job.move_id, move)


def _digested_as_shown(slot: int, store: Store) -> set[int]:
    """The accounts that came here with a digest in the form of former releases."""
    ids = [moved.move_id for moved in store.moved() if moved.slot == slot]
    rows = store.rows(ids).values() if ids else ()
    return {
        account.id
        for row in rows
        for account in SlotMove.FromString(row.body).accounts
        if account.entry_digest and account.digest_version == SHOWN
    }


def _load(command: Command, store: Store, place: ShardPlace) -> tuple[Books, dict[bytes, Document]]:
    books, needs = Books(), command.needs(place)
    accounts, holds = sorted({*needs.accounts}), sorted({*needs.holds})
    books.accounts = {a.id: a for a in store.accounts(accounts)} if accounts else {}
    books.holds = {h.id: h for h in store.holds(holds)} if holds else {}
    found = store.documents(needs.documents) if needs.documents else []
    return books, {document.id: document for document in found}
