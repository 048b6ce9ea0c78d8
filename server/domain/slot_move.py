"""A slot moves to another shard (row B11): a row in the log of either, and in both what went.

Built by `server/shards/relocate.py` (out), `server/switch/rebalance.py` (in), and from the log.
S is the sum of the balances in a currency, p the shard that kept the slot, q the one that will.

    movement           debit            credit
    out of shard p     the accounts S   in transit(p) S   the accounts leave with all their counters
    into shard q       in transit(q) S  the accounts S    as they left; no entry is written in them

A pending hold goes with its payer. Where payer and payee are not in the slot together it lands in
transit from then on: in q if the payer went, in p if only the payee did.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from kessai.v1 import account_pb2
from kessai.v1.shard_pb2 import MovedAccount, MovedDocument, MovedHold, SlotMove
from server.domain.arrival import arrival_id
from server.domain.command import Command, CommandKind, Decision, Needs, Place, State
from server.domain.document import Document
from server.ledger.account import Account
from server.ledger.chart import AccountKind, house_account_id, house_accounts
from server.ledger.relocation import Relocation, RelocationBroken
from server.ledger.transfer import Hold

_CODE = account_pb2.ENTRY_KIND_SLOT_MOVE


@dataclass(slots=True)
class _OfSlot(Command):
    move: SlotMove

    def needs(self, place: Place) -> Needs:
        """All that goes, where its holds land, and the accounts in transit."""
        landings = (hold.credit_account for hold in self.move.holds)
        transit = (own for own, _ in self._transit().values())
        return Needs(
            (*(account.id for account in self.move.accounts), *landings, *transit),
            (*(_number(hold.id) for hold in self.move.holds), *self._staying()),
            tuple(document.id for document in self.move.documents),
        )

    def relocation(self) -> Relocation:
        """Say what goes, in the ledger's terms."""
        return Relocation(
            accounts=tuple(map(_read_account, self.move.accounts)),
            holds=tuple(map(_read_hold, self.move.holds)),
            staying=self._staying(),
            transit=self._transit(),
            code=_CODE,
            transfer_id=self.transfer_id,
        )

    def documents(self) -> tuple[Document, ...]:
        """Give the documents that go."""
        return tuple(Document(d.id, d.kind, d.account, d.body) for d in self.move.documents)

    def _staying(self) -> tuple[int, ...]:
        return ()

    def _transit(self) -> dict[int, tuple[int, int]]:
        own, other = self._sides()
        in_transit = AccountKind.IN_TRANSIT
        return {
            ledger: (
                house_account_id(in_transit, own, ledger),
                house_account_id(in_transit, other, ledger),
            )
            for ledger in sorted({account.ledger for account in self.move.accounts})
        }

    def _sides(self) -> tuple[int, int]:
        raise NotImplementedError


@dataclass(slots=True)
class MoveOut(_OfSlot):
    """The slot leaves; never declined. Body: the SlotMove, without digests."""

    kind = CommandKind.MOVE_OUT

    def home(self) -> int:
        """It is decided in the shard that kept the slot, whose house this is."""
        return house_account_id(AccountKind.IN_TRANSIT, self.move.source_shard, 0)

    def decide(self, state: State, now_us: int) -> Decision:
        """Take all that is in the slot out of the books."""
        for document in self.documents():
            if state.documents.get(document.id) != document:
                raise RelocationBroken(f"{document} is not as it left")
        drops = tuple(document.id for document in self.move.documents)
        return Decision(drops=drops, takes_out=self.relocation())

    def _staying(self) -> tuple[int, ...]:
        return tuple(map(_number, self.move.staying_hold_ids))

    def _sides(self) -> tuple[int, int]:
        return self.move.source_shard, self.move.target_shard


@dataclass(slots=True)
class MoveIn(_OfSlot):
    """The slot arrives; never declined. Body: the SlotMove of its MoveOut, with the digests."""

    kind = CommandKind.MOVE_IN

    def home(self) -> int:
        """It is decided in the shard that will keep the slot, whose house this is."""
        return house_account_id(AccountKind.IN_TRANSIT, self.move.target_shard, 0)

    def decide(self, state: State, now_us: int) -> Decision:
        """Put all that is in the slot into the books, and the house's accounts that it needs."""
        opens: list[Account] = []
        for ledger, (own, _) in self._transit().items():
            if state.account(own) is None:
                opens += house_accounts(state.place.shard, ledger, now_us)
        return Decision(opens=tuple(opens), documents=self.documents(), puts_in=self.relocation())

    def _sides(self) -> tuple[int, int]:
        return self.move.target_shard, self.move.source_shard


def move_out(move_id: bytes, move: SlotMove) -> MoveOut:
    """Make the command that takes a slot out; `move_id` is a UUIDv7 of its own."""
    body = move.SerializeToString(deterministic=True)
    return MoveOut(move_id, hashlib.sha256(body).digest(), 0, 0, 0, 0, body, move)


def move_in(move_id: bytes, left: SlotMove, digests: dict[int, bytes]) -> MoveIn:
    """Make the command that puts in what left under a move's id; `digests` by account."""
    move = SlotMove()
    move.CopyFrom(left)
    for account in move.accounts:
        account.entry_digest = digests.get(account.id, b"")
    body = move.SerializeToString(deterministic=True)
    content = hashlib.sha256(body).digest()
    return MoveIn(arrival_id(move_id), content, 0, 0, 0, 0, body, move)


def without_digests(move: SlotMove) -> SlotMove:
    """Give what a slot's MoveOut said, from what its MoveIn says."""
    left = SlotMove()
    left.CopyFrom(move)
    for account in left.accounts:
        account.entry_digest = b""
    return left


def write_accounts(accounts: Iterable[Account]) -> list[MovedAccount]:
    """Write accounts down as they leave."""
    written = []
    for a in accounts:
        message = MovedAccount(
            id=a.id, ledger=a.ledger, code=a.code, flags=a.flags, owner=a.owner,
            debits_pending=a.debits_pending, debits_posted=a.debits_posted,
            credits_pending=a.credits_pending, credits_posted=a.credits_posted,
            sequence=a.sequence,
        )  # fmt: skip
        message.open_time.FromMicroseconds(a.open_us)
        written.append(message)
    return written


def write_holds(holds: Iterable[Hold]) -> list[MovedHold]:
    """Write pending holds down as they leave."""
    written = []
    for h in holds:
        message = MovedHold(
            id=h.id.to_bytes(16, "big"), debit_account=h.debit_account_id,
            credit_account=h.credit_account_id, amount=h.amount, ledger=h.ledger, code=h.code,
            far_account=h.far_account,
        )  # fmt: skip
        if h.expire_us:
            message.expire_time.FromMicroseconds(h.expire_us)
        written.append(message)
    return written


def write_documents(documents: Iterable[Document]) -> list[MovedDocument]:
    """Write documents down as they leave."""
    return [MovedDocument(id=d.id, kind=d.kind, account=d.account, body=d.body) for d in documents]


def _read_account(m: MovedAccount) -> Account:
    return Account(
        m.id, m.ledger, m.code, m.flags, m.owner, m.open_time.ToMicroseconds(),
        m.debits_pending, m.debits_posted, m.credits_pending, m.credits_posted, m.sequence,
    )  # fmt: skip


def _read_hold(m: MovedHold) -> Hold:
    expire_us = m.expire_time.ToMicroseconds() if m.HasField("expire_time") else 0
    return Hold(
        _number(m.id), m.debit_account, m.credit_account, m.amount, m.ledger, m.code,
        expire_us, m.far_account,
    )  # fmt: skip


def _number(raw: bytes) -> int:
    return int.from_bytes(raw, "big")
