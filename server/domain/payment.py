"""Settling a payment (row B1): the payer is debited, the payee credited or owed.

Built by `server/switch/register_purchase.py` once all signatures were verified, and from the log.

    movement                      debit              credit
    payee on the payer's shard    payer              payee
    payee on another shard        payer              in transit     and an outbox row; then there:
                                  in transit         payee          (`arrival.py`)
"""

from __future__ import annotations

from dataclasses import dataclass

from kessai.v1 import account_pb2
from kessai.v1 import decline_pb2 as d
from kessai.v1.decline_pb2 import DeclineReason
from server.domain.command import (
    ACCEPTED,
    Command,
    CommandKind,
    Decision,
    Needs,
    Owed,
    Place,
    State,
)
from server.ledger.chart import AccountKind, house_account_id
from server.ledger.transfer import Transfer

CLOCK_TOLERANCE_US = 30_000_000


@dataclass(frozen=True, slots=True)
class SettlePayment(Command):
    """A payment whose documents are authentic and agree with each other.

    `wallet` signed it; `create_us` and `expire_us` are those of the documents; `refusal` is what
    the switch already knew against it and wants kept. Declines: the refusal, EXPIRED, CLOCK_AHEAD,
    PAYER_ACCOUNT_UNKNOWN, PAYEE_ACCOUNT_UNKNOWN, PAYER_IS_PAYEE, CURRENCY_MISMATCH,
    INSUFFICIENT_FUNDS, AMOUNT_NOT_POSITIVE, AMOUNT_TOO_LARGE.
    """

    kind = CommandKind.SETTLE_PAYMENT

    wallet: str
    create_us: int
    expire_us: int
    refusal: DeclineReason.ValueType = ACCEPTED

    def home(self) -> int:
        """A payment is decided where its payer is."""
        return self.payer

    def needs(self, place: Place) -> Needs:
        """Both accounts, or the payer's and the one in transit."""
        return Needs((self.payer, landing(self.payee, self.ledger, place)))

    def decide(self, state: State, now_us: int) -> Decision:
        """Check the ladder, then move the money in one transfer."""
        if self.refusal != ACCEPTED:
            return Decision(self.refusal)
        if self.expire_us <= now_us:
            return Decision(d.DECLINE_REASON_EXPIRED)
        if self.create_us > now_us + CLOCK_TOLERANCE_US:
            return Decision(d.DECLINE_REASON_CLOCK_AHEAD)
        payer = state.account(self.payer)
        if payer is None or payer.owner != f"wallet/{self.wallet}":
            return Decision(d.DECLINE_REASON_PAYER_ACCOUNT_UNKNOWN)
        if payer.ledger != self.ledger:
            return Decision(d.DECLINE_REASON_CURRENCY_MISMATCH)
        transfer = Transfer(
            id=self.transfer_id,
            debit_account_id=self.payer,
            credit_account_id=landing(self.payee, self.ledger, state.place),
            amount=self.amount,
            ledger=self.ledger,
            code=account_pb2.ENTRY_KIND_PAYMENT,
            far_account=far_account(self.payee, state.place),
        )
        return Decision(transfers=(transfer,), owes=owed(self, transfer.code, state.place))


def landing(payee: int, ledger: int, place: Place) -> int:
    """Name the account that is credited in this place: the payee's own, or the one in transit."""
    if place.is_here(payee):
        return payee
    return house_account_id(AccountKind.IN_TRANSIT, place.shard, ledger)


def far_account(payee: int, place: Place) -> int:
    """Name the payee, if the credited account is the one in transit; else 0."""
    return 0 if place.is_here(payee) else payee


def owed(command: Command, code: int, place: Place) -> tuple[Owed, ...]:
    """Name what another shard's payee is owed by a movement of a kind in this place."""
    if place.is_here(command.payee):
        return ()
    return (Owed(command.payer, command.payee, command.amount, command.ledger, code),)
