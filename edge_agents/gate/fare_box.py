"""The fare box: brings in what a ride costs, once, however often its phone is tapped (row B4).

    no payment yet, or one that came to nothing    ask for a new one
    asked for, and not expired                     ask for the same again: the phone answers alike
    authorised, outcome unknown                    wait: the settlements go on asking; or, with the
                                                   line down, ask for one that may be deferred: the
                                                   switch will settle one of the two
    settled, or accepted without the switch        the ride is over

Called by `leaving`, and by `entry` for a ride that was never ended.
"""

from __future__ import annotations

from edge_agents.gate import screens
from edge_agents.gate.admission import Refused, write_exit_note
from edge_agents.gate.fare_lines import fare_lines
from edge_agents.gate.journeys import write_journey_note
from edge_agents.gate.lane import GateParts, Undecided
from edge_agents.gate.rules import Charge
from edge_agents.journal import Entry, PaymentState
from edge_agents.payment_request import PendingPayment
from edge_agents.settlements import Outcome, Verdict
from edge_agents.tap import PhoneAnswer, TapSession, ask_to_pay
from kessai.money import Money
from kessai.v1 import decline_pb2 as d
from kessai.v1 import tap_pb2
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.fare_pb2 import Admission
from kessai.v1.tap_pb2 import CloseAdmission, TapRequest

# A person in front of a gate looks at the answer: after that the next tap asks on.
SETTLE_BUDGET_S = 4.0
# When the line is down and the gate may decide by itself, it asks once, in case it is back.
CUT_OFF_BUDGET_S = 0.05


class FareBox:
    """Collects the fares of one gate."""

    def __init__(self, parts: GateParts) -> None:
        self._parts = parts

    async def collect(
        self, session: TapSession, admission: Admission, charge: Charge, station: str
    ) -> Signed:
        """Bring in a fare, and end the ride: the exit note.

        `station` is where the ride ends, "" if that was never seen. Refused with the decline's
        reason, Undecided if nobody knows yet, LinkLost if the phone left before it answered.
        """
        fare = charge.fare
        if fare.minor:
            fare = await self._pay(session, admission, charge, station)
        parts, ride, now_us = self._parts, admission.admission_id, self._parts.now_us()
        if charge.journey is not None:
            holder_key, currency = admission.holder_public_key, fare.currency
            journey = write_journey_note(charge.journey, currency, holder_key, parts.terminal)
            if journey is not None:
                parts.rides.keep_journey(ride, journey)
        note = write_exit_note(ride, station, fare, now_us, parts.terminal)
        parts.rides.end_ride(ride, admission.holder_public_key, note, now_us)
        return note

    async def close_ride(
        self, session: TapSession, ride: bytes, note: Signed, is_unpriced: bool = False
    ) -> bool:
        """Tell a phone that its ride is over, with the receipt; True if it took that."""
        entry = self._fare_of(ride)
        journey = self._parts.rides.journey(ride)
        close = CloseAdmission(exit_note=note, is_unpriced=is_unpriced, journey_note=journey)
        if entry is not None and entry.receipt is not None:
            close.receipt.CopyFrom(entry.receipt)
        answer = await session.exchange(TapRequest(close_admission=close))
        is_closed = answer.status == tap_pb2.TAP_STATUS_ADMISSION_CLOSED
        if is_closed and entry is not None and entry.receipt is not None:
            self._parts.journal.mark_delivered(entry.pending.request_id)
            self._parts.events.emit("receipt_delivered", entry.pending)
        return is_closed

    async def _pay(
        self, session: TapSession, admission: Admission, charge: Charge, station: str
    ) -> Money:
        """Bring in a fare; what was paid comes back, also if that was at a tap before."""
        entry = self._fare_of(admission.admission_id)
        if entry is not None and (entry.state is PaymentState.SETTLED or entry.accept_us):
            return entry.pending.total
        if entry is not None and self._is_being_asked(entry):
            raise Undecided(screens.asking())
        pending = self._same_request(entry, charge.fare) or self._new_request(
            admission, charge, station
        )
        answer = await ask_to_pay(
            session,
            pending,
            None,  # the phone verified who asks when it showed the admission
            is_wanted=lambda: self._parts.now_us() < pending.expire_us,
            on_deciding=lambda: self._parts.events.emit("customer_deciding", pending),
        )
        if answer is None or answer.sealed is None:
            raise self._not_authorized(pending, answer)
        self._parts.journal.authorize(pending.request_id, answer.sealed)
        self._parts.events.emit("authorized", pending)
        is_hasty = self._parts.is_cut_off and self._parts.may_trust
        budget_s = CUT_OFF_BUDGET_S if is_hasty else SETTLE_BUDGET_S
        outcome = await self._parts.settlements.settle(
            pending, answer.sealed, budget_s, answer.holder
        )
        _require_settled(outcome)
        return pending.total

    def _is_being_asked(self, entry: Entry) -> bool:
        """Tell whether there is nothing to do but to wait for the switch."""
        if entry.state is not PaymentState.AUTHORIZED:
            return False
        is_deferred = entry.pending.request.HasField("deferred_expire_time")
        return is_deferred or not (self._parts.is_cut_off and self._parts.may_trust)

    def _fare_of(self, admission_id: bytes) -> Entry | None:
        known = self._parts.rides.find_exit(admission_id)
        return self._parts.journal.find(known.request_id) if known is not None else None

    def _same_request(self, entry: Entry | None, fare: Money) -> PendingPayment | None:
        """Take a request up that was asked for before and can still be authorised."""
        if entry is None or entry.state is not PaymentState.REQUESTED:
            return None
        if entry.pending.expire_us > self._parts.now_us() and entry.pending.total == fare:
            return entry.pending
        self._parts.journal.abandon(entry.pending.request_id, "expired")
        return None

    def _new_request(self, admission: Admission, charge: Charge, station: str) -> PendingPayment:
        parts, rules, fare = self._parts, self._parts.rules, charge.fare
        items = fare_lines(charge, admission.station_id, station, rules.name_of)
        number = parts.journal.next_order_number()
        order_id = f"{parts.terminal.terminal_id[:28]}-{number:06d}"
        requests = parts.deferred_requests if parts.is_cut_off else parts.requests
        pending = requests.make(order_id, items, fare, admission)
        parts.journal.request(pending)
        holder_key = admission.holder_public_key
        ride = admission.admission_id
        parts.rides.begin_exit(ride, holder_key, pending.request_id, charge.exit_us)
        return pending

    def _not_authorized(self, pending: PendingPayment, answer: PhoneAnswer | None) -> Undecided:
        """End a request that the customer or the phone said no to; a new tap asks anew."""
        said_no = answer is not None and answer.status == tap_pb2.TAP_STATUS_CUSTOMER_DECLINED
        event = "customer_declined" if said_no else "phone_refused"
        self._parts.journal.abandon(pending.request_id, event)
        self._parts.events.emit(event, pending)
        return Undecided(screens.not_paid(said_no))


def _require_settled(outcome: Outcome) -> None:
    """Go on if settled or accepted; Refused if it was declined, Undecided if nobody knows."""
    if outcome.verdict in (Verdict.SETTLED, Verdict.ACCEPTED):
        return
    if outcome.verdict is Verdict.DECLINED and outcome.receipt is not None:
        raise Refused(outcome.receipt.decline_reason)
    if outcome.verdict is Verdict.NOT_TAKEN:
        raise Refused(d.DECLINE_REASON_EXPIRED)
    raise Undecided(screens.asking())
