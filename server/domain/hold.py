"""Holds: money that is reserved, then captured, voided, or released when its time is over.

Vending, reservations and card authorisations stand on it. Decided where the payer is.

    movement    debit    credit     effect
    place       payer    landing    pending
    capture     payer    landing    posted, up to the amount held; the rest is released
    void        payer    landing    released
    expire      payer    landing    released, by the shard itself

The landing is the payee's account, or his auxiliary of this shard, or that in transit, as for a
payment at the time when the hold is placed.
"""

from __future__ import annotations

from dataclasses import dataclass

from kessai.v1 import account_pb2
from kessai.v1 import decline_pb2 as d
from server.domain.command import ACCEPTED, Command, CommandKind, Decision, Needs, Place, State
from server.domain.payment import AgreedPayment, landing, owed
from server.ledger.chart import AccountKind, auxiliary_id, house_account_id
from server.ledger.transfer import Hold, HoldState, Transfer, TransferFlag


@dataclass(slots=True)
class PlaceHold(AgreedPayment):
    """Reserve `amount` for `hold_seconds` (0: for ever). Declines: those of AgreedPayment."""

    kind = CommandKind.PLACE_HOLD

    hold_seconds: int = 0

    def needs(self, place: Place) -> Needs:
        """What a payment needs, and the hold."""
        return Needs(AgreedPayment.needs(self, place).accounts, (self.transfer_id,))

    def decide(self, state: State, now_us: int) -> Decision:
        """Make the payment as a pending transfer."""
        decline = self.decline(state, now_us)
        if decline != ACCEPTED:
            return Decision(decline)
        return Decision(
            transfers=(
                Transfer(
                    id=self.transfer_id,
                    debit_account_id=self.payer,
                    credit_account_id=landing(self.payee, self.ledger, state),
                    amount=self.amount,
                    ledger=self.ledger,
                    code=account_pb2.ENTRY_KIND_CAPTURE,
                    flags=TransferFlag.PENDING,
                    timeout=self.hold_seconds,
                    far_payee=self.payee,
                ),
            )
        )


@dataclass(slots=True)
class _FinishHold(Command):
    def home(self) -> int:
        """A hold is finished where its payer is."""
        return self.payer

    @property
    def hold_id(self) -> int:
        """The id of the hold, which is the body: the request id of its PlaceHold."""
        return int.from_bytes(self.body, "big")

    def needs(self, place: Place) -> Needs:
        """The payer's account, each where the money may land or was to land, and the hold."""
        landings = (
            self.payee,
            auxiliary_id(place.shard, self.payee),
            house_account_id(AccountKind.IN_TRANSIT, place.shard, self.ledger),
        )
        return Needs((self.payer, *landings), (self.hold_id,))

    def held(self, state: State) -> Hold | None:
        """Give the hold, if it is between this payer and payee and in this currency."""
        hold = state.books.holds.get(self.hold_id)
        if hold is None or (self.payer, self.payee, self.ledger) != (
            hold.debit_account_id,
            hold.payee,
            hold.ledger,
        ):
            return None
        return hold


@dataclass(slots=True)
class CaptureHold(_FinishHold):
    """Take `amount` of a hold (body: its id).

    Declines: HOLD_NOT_PENDING, AMOUNT_NOT_POSITIVE, AMOUNT_TOO_LARGE.
    """

    kind = CommandKind.CAPTURE_HOLD

    def decide(self, state: State, now_us: int) -> Decision:
        """Post the pending transfer."""
        hold = self.held(state)
        if hold is None:
            return Decision(d.DECLINE_REASON_HOLD_NOT_PENDING)
        transfer = Transfer(
            id=self.transfer_id,
            amount=self.amount,
            flags=TransferFlag.POST_PENDING_TRANSFER,
            pending_id=self.hold_id,
        )
        owes = owed(self, hold.credit_account_id, hold.code, state)
        return Decision(transfers=(transfer,), owes=owes)


@dataclass(slots=True)
class VoidHold(_FinishHold):
    """Give a hold up (body: its id). Declines: HOLD_NOT_PENDING."""

    kind = CommandKind.VOID_HOLD

    def decide(self, state: State, now_us: int) -> Decision:
        """Void the pending transfer."""
        if self.held(state) is None:
            return Decision(d.DECLINE_REASON_HOLD_NOT_PENDING)
        transfer = Transfer(
            id=self.transfer_id,
            flags=TransferFlag.VOID_PENDING_TRANSFER,
            pending_id=self.hold_id,
        )
        return Decision(transfers=(transfer,))


@dataclass(slots=True)
class ExpireHold(_FinishHold):
    """Release a hold whose time is over (body: its id). Declines: HOLD_NOT_PENDING."""

    kind = CommandKind.EXPIRE_HOLD

    def decide(self, state: State, now_us: int) -> Decision:
        """Release it, if it is pending and its time is over."""
        hold = self.held(state)
        if hold is None or hold.state is not HoldState.PENDING or not 0 < hold.expire_us <= now_us:
            return Decision(d.DECLINE_REASON_HOLD_NOT_PENDING)
        return Decision(expires=(self.hold_id,))
