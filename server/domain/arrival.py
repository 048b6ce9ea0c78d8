"""Money arriving from another shard: what is in transit becomes the payee's (row B13).

Built by `server/switch/depositor.py` from an outbox row, and from the log.

    movement                          debit         credit
    the payee can take it             in transit    payee
    it was merged (`busy_payee.py`)   in transit    merged
                                      merged        payee
    the payee cannot (account gone,   in transit    suspense      an operator releases it
    closed, other currency, full)                                 (`suspense.py`)
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from typing import NamedTuple

from kessai.money import MAX_AMOUNT
from kessai.v1 import account_pb2
from server.domain.command import Command, CommandKind, Decision, Needs, Place, State
from server.ledger.account import Account
from server.ledger.chart import AccountKind, house_account_id, house_accounts, merged_id
from server.ledger.transfer import Transfer

_ORIGIN = struct.Struct(">HQH")


class Origin(NamedTuple):
    """Where what arrives comes from: shard, log sequence there, and the kind of movement."""

    shard: int
    log_sequence: int
    code: int


@dataclass(slots=True)
class Arrive(Command):
    """The arrival of what an outbox owes; never declined. `body` is its `Origin`, 12 bytes.

    `code` is the kind of movement, as the origin says.
    """

    kind = CommandKind.ARRIVE

    code: int

    def home(self) -> int:
        """An arrival is decided where the payee is."""
        return self.payee

    def needs(self, place: Place) -> Needs:
        """The accounts on the way to the payee, and the shard's own in that currency."""
        in_transit = house_account_id(AccountKind.IN_TRANSIT, place.shard, self.ledger)
        suspense = house_account_id(AccountKind.SUSPENSE, place.shard, self.ledger)
        return Needs((*_way(self.payee, self.code), in_transit, suspense))

    def decide(self, state: State, now_us: int) -> Decision:
        """Credit the payee, or the suspense account if the payee cannot take it."""
        in_transit = state.house(AccountKind.IN_TRANSIT, self.ledger)
        opens = () if state.account(in_transit) else house_accounts(
            state.place.shard, self.ledger, now_us
        )  # fmt: skip
        debit, transfers = in_transit, []
        way = _way(self.payee, self.code)
        if not all(self._can_be_taken(state.account(account_id)) for account_id in way):
            way = (state.house(AccountKind.SUSPENSE, self.ledger),)
        for step, credit in enumerate(way, self.transfer_id):
            transfers.append(
                Transfer(
                    id=step,
                    debit_account_id=debit,
                    credit_account_id=credit,
                    amount=self.amount,
                    ledger=self.ledger,
                    code=self.code,
                    far_payer=self.payer,
                )
            )
            debit = credit
        return Decision(transfers=tuple(transfers), opens=tuple(opens))

    def _can_be_taken(self, account: Account | None) -> bool:
        return (
            account is not None
            and account.ledger == self.ledger
            and not account.is_closed
            and account.credits_pending + account.credits_posted + self.amount <= MAX_AMOUNT
        )


def arrival(
    shard: int,
    log_sequence: int,
    request_id: bytes,
    payer: int,
    payee: int,
    amount: int,
    ledger: int,
    code: int,
) -> Arrive:
    """Make the arrival of what a shard's log row owes; `request_id` is the payment's."""
    body = _ORIGIN.pack(shard, log_sequence, code)
    content = hashlib.sha256(body + struct.pack(">QQqH", payer, payee, amount, ledger)).digest()
    return Arrive(arrival_id(request_id), content, payer, payee, amount, ledger, body, code)


def arrival_id(request_id: bytes) -> bytes:
    """Give the id under which a payment arrives: its own, as a UUIDv8 instead of a UUIDv7.

    So one payment arrives once, its id still sorts by time, and it is never taken for a request's.
    """
    return request_id[:6] + bytes((request_id[6] & 0x0F | 0x80,)) + request_id[7:]


def payment_id(arrival: bytes) -> bytes:
    """Give the id of the payment that arrived under an id."""
    return arrival[:6] + bytes((arrival[6] & 0x0F | 0x70,)) + arrival[7:]


def cause_of(request_id: bytes) -> bytes:
    """The id by which people know what moved an entry: of an arrival, that of its payment.

    So the statements of both ends of a payment name it alike, wherever their accounts are.
    """
    return payment_id(request_id) if request_id[6] >> 4 == 8 else request_id


def _way(payee: int, code: int) -> tuple[int, ...]:
    return (merged_id(payee), payee) if code == account_pb2.ENTRY_KIND_MERGE else (payee,)


def read_origin(body: bytes) -> Origin:
    """Read the body of an arrival; ValueError if it is none."""
    if len(body) != _ORIGIN.size:
        raise ValueError(f"the body of an arrival has {_ORIGIN.size} bytes")
    return Origin(*_ORIGIN.unpack(body))
