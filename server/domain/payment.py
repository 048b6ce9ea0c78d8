"""Settling a payment (row B1): the payer is debited, the payee credited or owed.

Built by `server/switch/register_purchase.py` once all signatures were verified, and from the log.

    movement                      debit              credit
    payee on the payer's shard    payer              payee
    payee with an auxiliary here  payer              auxiliary      merged later (`busy_payee.py`)
    payee on another shard        payer              in transit     and an outbox row; then there:
                                  in transit         payee          (`arrival.py`)

A fare (`fare.py`) moves the same way, as an entry of its own kind; beside it the ride is
kept as a document of the payer's shard, so that no second fare is ever paid for one ride.
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
from server.domain.document import Document, DocumentKind
from server.ledger.chart import AccountKind, auxiliary_id, house_account_id
from server.ledger.transfer import Transfer

CLOCK_TOLERANCE_US = 30_000_000


@dataclass(slots=True)
class AgreedPayment(Command):
    """A payment whose documents are authentic and agree with each other.

    `wallet` signed it; `create_us` and `expire_us` are those of the documents; `refusal` is what
    the switch already knew against it and wants kept; `admission` is the ride that it is the fare
    of, empty for any other payment. Declines: the refusal, EXPIRED, CLOCK_AHEAD,
    PAYER_ACCOUNT_UNKNOWN, PAYEE_ACCOUNT_UNKNOWN, PAYER_IS_PAYEE, CURRENCY_MISMATCH,
    INSUFFICIENT_FUNDS, AMOUNT_NOT_POSITIVE, AMOUNT_TOO_LARGE, ADMISSION_USED.
    """

    wallet: str
    create_us: int
    expire_us: int
    refusal: DeclineReason.ValueType = ACCEPTED
    admission: bytes = b""

    def home(self) -> int:
        """A payment is decided where its payer is."""
        return self.payer

    def needs(self, place: Place) -> Needs:
        """The payer's account, those where the money may land, and the admission of a fare."""
        accounts = (self.payer, *landings(self.payee, self.ledger, place))
        return Needs(accounts, documents=self.documents())

    @property
    def ride(self) -> bytes:
        """The id of the document by which a ride is known as paid; empty without one."""
        return self.admission

    def documents(self) -> tuple[bytes, ...]:
        """The documents of a fare; none for any other payment."""
        return (self.admission,) if self.admission else ()

    def is_ride_paid(self, state: State) -> bool:
        """Whether the fare was paid before."""
        return self.admission in state.documents

    def decline(self, state: State, now_us: int) -> DeclineReason.ValueType:
        """Give the first rung of the ladder that does not hold, or ACCEPTED."""
        if self.refusal != ACCEPTED:
            return self.refusal
        if self.expire_us <= now_us:
            return d.DECLINE_REASON_EXPIRED
        if self.create_us > now_us + CLOCK_TOLERANCE_US:
            return d.DECLINE_REASON_CLOCK_AHEAD
        payer = state.account(self.payer)
        if payer is None or payer.owner != f"wallet/{self.wallet}":
            return d.DECLINE_REASON_PAYER_ACCOUNT_UNKNOWN
        if payer.ledger != self.ledger:
            return d.DECLINE_REASON_CURRENCY_MISMATCH
        if self.is_ride_paid(state):
            return d.DECLINE_REASON_ADMISSION_USED
        return ACCEPTED


@dataclass(slots=True)
class SettlePayment(AgreedPayment):
    """A payment that is settled at once. Declines: those of AgreedPayment.

    With an admission it is a fare of a former release, read from logs only.
    """

    kind = CommandKind.SETTLE_PAYMENT

    @property
    def entry_kind(self) -> account_pb2.EntryKind.ValueType:
        """What statements call it."""
        return account_pb2.ENTRY_KIND_FARE if self.admission else account_pb2.ENTRY_KIND_PAYMENT

    def decide(self, state: State, now_us: int) -> Decision:
        """Check the ladder, then move the money in one transfer."""
        decline = self.decline(state, now_us)
        if decline != ACCEPTED:
            return Decision(decline)
        return self._move(state)

    def _move(self, state: State) -> Decision:
        transfer, owes = paid_out(self, self.entry_kind, state)
        documents: tuple[Document, ...] = ()
        if self.admission:
            ride = Document(self.ride, DocumentKind.ADMISSION, self.payer, self.request_id)
            documents = (ride,)
        return Decision(transfers=(transfer,), owes=owes, documents=documents)


def landings(payee: int, ledger: int, place: Place) -> tuple[int, ...]:
    """Name the accounts of which `landing` takes one."""
    if place.is_here(payee):
        return (payee,)
    in_transit = house_account_id(AccountKind.IN_TRANSIT, place.shard, ledger)
    return auxiliary_id(place.shard, payee), in_transit


def landing(payee: int, ledger: int, state: State) -> int:
    """Name the account credited here: the payee's own, or his auxiliary, or that in transit."""
    if state.place.is_here(payee):
        return payee
    auxiliary = auxiliary_id(state.place.shard, payee)
    if auxiliary in state.books.accounts:
        return auxiliary
    return state.house(AccountKind.IN_TRANSIT, ledger)


def paid_out(command: Command, code: int, state: State) -> tuple[Transfer, tuple[Owed, ...]]:
    """The movement of a command's amount from payer to payee, and what another shard is owed."""
    transfer = Transfer(
        id=command.transfer_id,
        debit_account_id=command.payer,
        credit_account_id=landing(command.payee, command.ledger, state),
        amount=command.amount,
        ledger=command.ledger,
        code=code,
        far_payee=command.payee,
    )
    return transfer, owed(command, transfer.credit_account_id, code, state)


def owed(command: Command, credited: int, code: int, state: State) -> tuple[Owed, ...]:
    """Name what another shard's payee is owed after a movement of a kind to `credited`."""
    if credited != state.house(AccountKind.IN_TRANSIT, command.ledger):
        return ()
    return (Owed(command.payer, command.payee, command.amount, command.ledger, code),)
