"""The exit: a phone shows its admission, the fare is paid, the gate opens (mission row B4).

    1  AskForAdmission    ->  the admission, and the holder's proof
    2  PresentPayment     ->  the authorisation; only if there is something to pay
       the switch settles; the barrier opens
    3  CloseAdmission     ->  the phone has the receipt; while the person is walking

Called by `desk`.
"""

from __future__ import annotations

from edge_agents.gate import screens
from edge_agents.gate.admission import Refused, write_admission
from edge_agents.gate.fare_box import FareBox
from edge_agents.gate.lane import Allowed, GateParts
from edge_agents.tap import TapSession
from kessai.money import Money
from kessai.request_id import new_request_id
from kessai.v1 import decline_pb2 as d
from kessai.v1 import tap_pb2
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.fare_pb2 import Admission, ExitNote
from kessai.v1.tap_pb2 import CloseAdmission, TapRequest


class ExitLane:
    """Lets people out."""

    def __init__(self, parts: GateParts, fare_box: FareBox) -> None:
        self._parts, self._fare_box = parts, fare_box

    async def serve(self, session: TapSession) -> Allowed:
        """Serve a phone that wants out; see `lane.Lane`."""
        admission = await self._parts.shown_admission(session)
        if admission is None:
            admission = await self._without_entry(session)
        known = self._parts.rides.find_exit(admission.admission_id)
        if known is not None and known.pass_us:
            raise Refused(d.DECLINE_REASON_ADMISSION_USED)
        if known is not None and known.note is not None:
            note, receipt = known.note, self._fare_box.paid_before(admission.admission_id)
        else:
            rules = self._parts.rules
            fare = rules.fare(admission, self._parts.now_us())
            note, receipt = await self._fare_box.collect(session, admission, fare, rules.station)
        return self._allow(admission, note, receipt)

    async def _without_entry(self, session: TapSession) -> Admission:
        """Give a phone without one an admission from nowhere, if the carrier has a fare for that.

        From then on it is a ride like any other: paid once, however often the phone is tapped.
        """
        parts = self._parts
        if parts.rules.missing_entry is None:
            raise Refused(d.DECLINE_REASON_ADMISSION_MISSING)
        holder, _ = await parts.challenge(session, parts.new_nonce())
        now_us = parts.now_us()
        ride = new_request_id(now_us // 1000, parts.random_bytes)
        until_us = now_us + parts.rules.max_ride_us
        admission, signed = write_admission(ride, holder, "", 0, now_us, until_us, parts.terminal)
        await parts.grant(session, signed)
        return admission

    def _allow(self, admission: Admission, note: Signed, receipt: Signed | None) -> Allowed:
        parts, ride = self._parts, admission.admission_id
        fare = Money.from_proto(ExitNote.FromString(note.payload).fare)
        parts.events.emit("left", station=parts.rules.station, fare_minor=fare.minor)

        async def farewell(session: TapSession) -> None:
            close = CloseAdmission(exit_note=note)
            if receipt is not None:
                close.receipt.CopyFrom(receipt)
            answer = await session.exchange(TapRequest(close_admission=close))
            known = parts.rides.find_exit(ride)
            closed = answer.status == tap_pb2.TAP_STATUS_ADMISSION_CLOSED
            if closed and known is not None and known.request_id:
                parts.journal.mark_delivered(known.request_id)

        return Allowed(
            screens.goodbye(fare), lambda: parts.rides.mark_left(ride, parts.now_us()), farewell
        )
