"""The entry: the switch confirms a holder, his phone keeps an admission, the gate opens (row B4).

    1  ChallengeHolder    ->  credential and proof, and an admission if one is still open
       the switch confirms
    2  GrantAdmission     ->  the phone has kept it; the barrier opens

Called by `desk`.
"""

from __future__ import annotations

from edge_agents.gate import screens
from edge_agents.gate.admission import Refused, write_admission
from edge_agents.gate.fare_box import FareBox
from edge_agents.gate.lane import RETRY_US, Allowed, GateParts, Undecided
from edge_agents.gate.rides import Entry
from edge_agents.gate.rules import Charge
from edge_agents.offline_decision import ACCEPTED
from edge_agents.tap import TapSession
from edge_agents.uplink import NotTaken, Unknown
from kessai.decline import name_of
from kessai.envelope import DocumentMalformed, read_unverified, read_verified
from kessai.holder import Holder
from kessai.money import Money
from kessai.request_id import new_request_id
from kessai.v1 import decline_pb2 as d
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.fare_pb2 import Admission, ConfirmTravelRequest, ConfirmTravelResponse, Journey
from kessai.v1.holder_pb2 import HolderAnswer
from kessai.v1.tap_pb2 import TapResponse

# How long a person waits for the switch: where the gate may decide by itself, and where not.
PATIENT_S, HASTY_S = 2.0, 0.15
ADMISSION_ID_BYTES = 16
# No transfer leads on from a ride that ended longer ago, whatever the rules allow.
JOURNEY_US = 24 * 3600 * 1_000_000


class EntryLane:
    """Lets people in."""

    def __init__(self, parts: GateParts, fare_box: FareBox) -> None:
        self._parts, self._fare_box = parts, fare_box

    async def serve(self, session: TapSession) -> Allowed:
        """Serve a phone that wants in; see `lane.Lane`."""
        nonce = self._parts.new_nonce()
        with_journey = self._parts.rules.tariff.has_transfers
        holder, answer = await self._parts.challenge(session, nonce, with_journey)
        shown = answer.admission_answer.admission if answer.HasField("admission_answer") else None
        again = self._not_used(holder, shown)
        if again is not None:
            return await self._grant(session, again)
        open_ride = _claimed_ride(shown) if shown is not None else b""
        told = await self._confirm(holder, answer.holder_answer, nonce, open_ride)
        spent = told.spent_today.amount_minor
        if shown is not None:
            spent += await self._end_open_ride(session, open_ride, told.open_admission_paid)
        return await self._grant(session, self._admit(holder, spent, self._journey(holder, answer)))

    def _journey(self, holder: Holder, answer: TapResponse) -> Journey | None:
        """The journey that the phone shows; None if it shows none, or none that is good and new."""
        if not answer.HasField("journey_answer"):
            return None
        parts, shown = self._parts, answer.journey_answer
        parts.entry_gates.learn(shown.exit_certificate)
        try:
            journey = parts.entry_gates.open_journey(shown.note, holder.public_key)
            if journey.rides[-1].exit_time.ToMicroseconds() < parts.now_us() - JOURNEY_US:
                return None
            last = parts.rides.newest_entry(holder.public_key)
            is_used = last is not None and last.pass_us
            if last is not None and is_used and _admission_of(last).journey == journey:
                raise Refused(d.DECLINE_REASON_ADMISSION_USED)
        except Refused as refused:
            parts.events.emit("journey_refused", reason=name_of(refused.reason))
            return None
        return journey

    def _not_used(self, holder: Holder, shown: Signed | None) -> Signed | None:
        """Give the admission that is shown if it is from here and nobody has passed with it yet.

        If the phone shows none, it never had it, or that ride is over elsewhere, and the gate was
        killed before it noted who passed: it gets a new one, because the exits know the old one as
        used. Refused with ADMISSION_OPEN for a second person with one phone.
        """
        parts = self._parts
        last = parts.rides.newest_entry(holder.public_key)
        if last is None:
            return None
        now_us = parts.now_us()
        if last.pass_us:
            if now_us < last.pass_us + parts.rules.passback_us:
                raise Refused(d.DECLINE_REASON_ADMISSION_OPEN)
            return None
        if shown is None or shown.payload != last.admission.payload:
            return None
        expire_us = read_verified(last.admission, Admission).expire_time.ToMicroseconds()
        is_good = last.issue_us <= now_us < min(last.issue_us + RETRY_US, expire_us)
        return last.admission if is_good else None

    async def _confirm(
        self, holder: Holder, answer: HolderAnswer, nonce: bytes, open_ride: bytes
    ) -> ConfirmTravelResponse:
        """Ask the switch; while it is away the gate decides by itself, of what it knows."""
        rules, now_us = self._parts.rules, self._parts.now_us()
        request = ConfirmTravelRequest(
            holder_answer=answer,
            nonce=nonce,
            minimum_balance=Money(0, rules.tariff.currency).to_proto(),
            open_admission_id=open_ride,
        )
        if rules.cap is not None:
            request.day_start_time.FromMicroseconds(rules.today_us(now_us))
        if self._parts.is_cut_off and self._parts.may_trust:
            return self._trust(holder)
        budget_s = HASTY_S if self._parts.may_trust else PATIENT_S
        told = await self._parts.uplink.confirm_travel(request, budget_s)
        if isinstance(told, Unknown) and told.is_away:
            return self._trust(holder)
        if isinstance(told, NotTaken | Unknown):
            self._parts.events.emit("not_confirmed", why=told.why)
            raise Undecided(screens.not_checked())
        if told.decline_reason:
            raise Refused(told.decline_reason)
        return told

    def _trust(self, holder: Holder) -> ConfirmTravelResponse:
        reason = d.DECLINE_REASON_OFFLINE_NOT_ALLOWED
        if self._parts.may_trust:
            reason = self._parts.member.offline.trust(holder)
        if reason != ACCEPTED:
            raise Refused(reason)
        self._parts.events.emit("trusted")
        return ConfirmTravelResponse()

    async def _end_open_ride(self, session: TapSession, open_ride: bytes, is_paid: bool) -> int:
        """Close a ride whose end the phone missed, or that had none, by the carrier's rule.

        What it cost comes back, minor units.
        """
        parts = self._parts
        admission = await parts.shown_admission(session)
        if admission is None or admission.admission_id != open_ride:
            raise Refused(d.DECLINE_REASON_ADMISSION_INVALID)
        fare = Money(0, parts.rules.tariff.currency)
        if not is_paid:
            if parts.rules.missing_exit is None:
                raise Refused(d.DECLINE_REASON_ADMISSION_OPEN)
            fare = parts.rules.missing_exit
        charge = Charge(fare, parts.now_us())
        note = await self._fare_box.collect(session, admission, charge, "")
        if not await self._fare_box.close_ride(session, open_ride, note):
            raise Refused(d.DECLINE_REASON_ADMISSION_OPEN)
        return fare.minor

    def _admit(self, holder: Holder, spent_minor: int, journey: Journey | None) -> Signed:
        parts, now_us = self._parts, self._parts.now_us()
        ride = new_request_id(now_us // 1000, parts.random_bytes)
        until_us = now_us + parts.rules.max_ride_us
        station = parts.rules.station
        _, signed = write_admission(
            ride, holder, station, spent_minor, now_us, until_us, parts.terminal, journey
        )
        parts.rides.admit(ride, holder.public_key, signed, now_us)
        return signed

    async def _grant(self, session: TapSession, signed: Signed) -> Allowed:
        parts = self._parts
        await parts.grant(session, signed)
        ride = read_verified(signed, Admission).admission_id
        parts.events.emit("admitted", station=parts.rules.station)
        return Allowed(screens.come_in(), lambda: parts.rides.mark_entered(ride, parts.now_us()))


def _admission_of(entry: Entry) -> Admission:
    return read_verified(entry.admission, Admission)


def _claimed_ride(shown: Signed) -> bytes:
    # Looked up before the admission is verified; the switch takes no id of another length.
    try:
        ride = read_unverified(shown, Admission).admission_id
    except DocumentMalformed:
        raise Refused(d.DECLINE_REASON_ADMISSION_INVALID) from None
    if len(ride) != ADMISSION_ID_BYTES:
        raise Refused(d.DECLINE_REASON_ADMISSION_INVALID)
    return ride
