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
from edge_agents.gate.lane import RETRY_US, Allowed, GateParts
from edge_agents.tap import TapSession
from kessai.envelope import read_verified
from kessai.holder import Holder
from kessai.money import Money
from kessai.request_id import format_request_id, new_request_id
from kessai.v1 import decline_pb2 as d
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.fare_pb2 import Admission, ExitNote


class ExitLane:
    """Lets people out."""

    def __init__(self, parts: GateParts, fare_box: FareBox) -> None:
        self._parts, self._fare_box = parts, fare_box

    async def serve(self, session: TapSession) -> Allowed:
        """Serve a phone that wants out; see `lane.Lane`."""
        parts = self._parts
        admission = await parts.shown_admission(session)
        if admission is None:
            holder, _ = await parts.challenge(session, parts.new_nonce())
            again = parts.rides.paid_and_inside(holder.public_key, parts.now_us() - RETRY_US)
            if again is not None and again.note is not None:
                return self._allow(again.admission_id, again.note)
            admission = await self._without_entry(session, holder)
        known = parts.rides.find_exit(admission.admission_id)
        if known is not None and known.pass_us:
            if known.note is not None:  # the phone missed it, and would not be let in again
                await self._fare_box.close_ride(session, admission.admission_id, known.note)
            raise Refused(d.DECLINE_REASON_ADMISSION_USED)
        if known is not None and known.note is not None:
            return self._allow(admission.admission_id, known.note)
        now_us = parts.now_us()
        exit_us = parts.rides.asked_us(admission.admission_id) or now_us
        charge = parts.rules.charge(admission, now_us, exit_us)
        if charge.is_unpriced:
            self._tell_unpriced(admission, now_us)
        note = await self._fare_box.collect(session, admission, charge, parts.rules.station)
        return self._allow(admission.admission_id, note, charge.is_unpriced)

    def _tell_unpriced(self, admission: Admission, now_us: int) -> None:
        parts = self._parts
        parts.rides.keep_unpriced(admission, now_us)
        ride = format_request_id(admission.admission_id)
        entry, station = admission.station_id, parts.rules.station
        parts.events.emit("unpriced", ride=ride, entry_station=entry, station=station)

    async def _without_entry(self, session: TapSession, holder: Holder) -> Admission:
        """Give a phone without one an admission from nowhere, if the carrier has a fare for that.

        From then on it is a ride like any other: paid once, however often the phone is tapped.
        """
        parts = self._parts
        if parts.rules.missing_entry is None:
            raise Refused(d.DECLINE_REASON_ADMISSION_MISSING)
        now_us = parts.now_us()
        ride = new_request_id(now_us // 1000, parts.random_bytes)
        until_us = now_us + parts.rules.max_ride_us
        admission, signed = write_admission(ride, holder, "", 0, now_us, until_us, parts.terminal)
        await parts.grant(session, signed)
        return admission

    def _allow(self, ride: bytes, note: Signed, is_unpriced: bool = False) -> Allowed:
        parts = self._parts
        fare = Money.from_proto(read_verified(note, ExitNote).fare)
        parts.events.emit("left", station=parts.rules.station, fare_minor=fare.minor)

        async def farewell(session: TapSession) -> None:
            await self._fare_box.close_ride(session, ride, note, is_unpriced)

        pages = screens.fare_follows() if is_unpriced else screens.goodbye(fare)
        return Allowed(pages, lambda: parts.rides.mark_left(ride, parts.now_us()), farewell)
