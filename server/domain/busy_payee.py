"""Busy payees (row B12): an auxiliary account on every shard, merged into the main account.

Built by `server/switch/busy_payees.py` and `server/switch/merge.py`, and from the log. Who is busy
is paid wholly in each payer's shard (`payment.py`), in one commit, and no shard waits for another.

    movement             debit            credit
    payment, shard p     payer            auxiliary(p)
    merge, shard p       auxiliary(p)     in transit(p)    and an outbox row; then, as an arrival:
    payee's shard q      in transit(q)    merged
                         merged           payee

The debits of `merged` count what was ever merged, at the same moment as the payee's balance. So the
payee's total is exact at all times, also while money is between two shards: balance, less what was
merged, plus what all auxiliaries were ever credited.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable
from dataclasses import dataclass

from kessai.v1 import account_pb2
from kessai.v1 import decline_pb2 as d
from server.domain.command import Command, CommandKind, Decision, Needs, Owed, Place, State
from server.ledger.account import Account
from server.ledger.chart import (
    AccountKind,
    house_account_id,
    house_accounts,
    main_account,
    merged_id,
    open_account,
    shard_of_auxiliary,
)
from server.ledger.transfer import Transfer

_CONTENT = struct.Struct(">QqH")
_MERGING = b"kessai/merge/v1\0"


@dataclass(slots=True)
class OpenAuxiliary(Command):
    """The auxiliary `payee` of one shard, for the `owner` of the main account; again: no change.

    In the payee's own shard it opens `merged` too, by which a busy payee is known. Declines, there
    only: PAYEE_ACCOUNT_UNKNOWN, CURRENCY_MISMATCH.
    """

    kind = CommandKind.OPEN_AUXILIARY

    owner: str

    def home(self) -> int:
        """An auxiliary is opened in its own shard."""
        return self.payee

    def needs(self, place: Place) -> Needs:
        """The account, what it may open, and whether the shard keeps the currency yet."""
        account = main_account(self.payee)
        world = house_account_id(AccountKind.WORLD, place.shard, self.ledger)
        return Needs((account, merged_id(account), self.payee, world))

    def decide(self, state: State, now_us: int) -> Decision:
        """Open what is not there yet."""
        account_id = main_account(self.payee)
        wanted = {self.payee: AccountKind.AUXILIARY}
        if state.place.is_here(account_id):
            account = state.account(account_id)
            if account is None or account.owner != self.owner:
                return Decision(d.DECLINE_REASON_PAYEE_ACCOUNT_UNKNOWN)
            if account.ledger != self.ledger:
                return Decision(d.DECLINE_REASON_CURRENCY_MISMATCH)
            wanted[merged_id(account_id)] = AccountKind.MERGED
        opens = [
            open_account(new_id, self.ledger, kind, self.owner, now_us)
            for new_id, kind in wanted.items()
            if state.account(new_id) is None
        ]
        if opens and state.account(state.house(AccountKind.WORLD, self.ledger)) is None:
            opens += house_accounts(state.place.shard, self.ledger, now_us)
        return Decision(opens=tuple(opens))


@dataclass(slots=True)
class MergeAuxiliary(Command):
    """What the auxiliary `payer` holds goes on its way to the main account `payee`.

    Declines: INSUFFICIENT_FUNDS (it was merged already), PAYER_ACCOUNT_UNKNOWN.
    """

    kind = CommandKind.MERGE_AUXILIARY

    def home(self) -> int:
        """A merge is decided where the auxiliary is."""
        return self.payer

    def needs(self, place: Place) -> Needs:
        """The auxiliary and the account in transit."""
        in_transit = house_account_id(AccountKind.IN_TRANSIT, place.shard, self.ledger)
        return Needs((self.payer, in_transit))

    def decide(self, state: State, now_us: int) -> Decision:
        """Put it in transit, and owe it to the payee."""
        code = account_pb2.ENTRY_KIND_MERGE
        transfer = Transfer(
            id=self.transfer_id,
            debit_account_id=self.payer,
            credit_account_id=state.house(AccountKind.IN_TRANSIT, self.ledger),
            amount=self.amount,
            ledger=self.ledger,
            code=code,
            far_payee=self.payee,
        )
        owes = (Owed(self.payer, self.payee, self.amount, self.ledger, code),)
        return Decision(transfers=(transfer,), owes=owes)


def merge(request_id: bytes, auxiliary: int, amount: int, ledger: int) -> MergeAuxiliary:
    """Make the merge of what an auxiliary holds; `request_id` is a UUIDv7, as a payment's is.

    ValueError if the account is no auxiliary.
    """
    if shard_of_auxiliary(auxiliary) is None:
        raise ValueError("only an auxiliary is merged")
    content = hashlib.sha256(_CONTENT.pack(auxiliary, amount, ledger)).digest()
    payee = main_account(auxiliary)
    return MergeAuxiliary(request_id, content, auxiliary, payee, amount, ledger, b"")


def merging_id(request_id: bytes, shard: int) -> bytes:
    """Give the id under which an operator's merge takes what a shard's auxiliary holds.

    The request's own on the first shard; on others a UUIDv7 of its time, the same each time, since
    what is merged arrives under an id that is made of a UUIDv7.
    """
    if shard == 0:
        return request_id
    digest = bytearray(hashlib.sha256(_MERGING + request_id + shard.to_bytes(2, "big")).digest())
    digest[6], digest[8] = digest[6] & 0x0F | 0x70, digest[8] & 0x3F | 0x80
    return request_id[:6] + bytes(digest[6:16])


def opening_id(request_id: bytes, shard: int) -> bytes:
    """Give the id under which a distribution opens its auxiliary in another shard than the payee's.

    A UUIDv9 of the request's time, never a request's own; the same each time.
    """
    digest = hashlib.sha256(request_id + shard.to_bytes(2, "big")).digest()
    return request_id[:6] + bytes((digest[6] & 0x0F | 0x90,)) + digest[7:16]


def not_merged(merged: Account, auxiliaries: Iterable[Account]) -> int:
    """Tell what auxiliaries were paid and the main account has not got yet, minor units.

    `merged` must have been read at one moment with the main account, and before the auxiliaries.
    """
    return sum(auxiliary.credits_posted for auxiliary in auxiliaries) - merged.debits_posted
