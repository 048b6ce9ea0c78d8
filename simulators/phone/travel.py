"""The phone at a gate: keeps admissions, shows them with a proof, and closes them (row B4).

A gate's first message of a session brings its certificate; whatever it signs after that is
verified with it. No PIN and no question: the customer tapped. What it answers with KEPT or CLOSED
is on the disk. Called by `wallet`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from kessai.envelope import (
    ADMISSION,
    EXIT_NOTE,
    JOURNEY,
    EnvelopeError,
    load_public_key,
    open_signed,
)
from kessai.holder import CHALLENGE_BYTES, Asked, challenge_of
from kessai.money import Money, MoneyError
from kessai.v1 import decline_pb2, tap_pb2
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.fare_pb2 import Admission, ExitNote, JourneyNote
from kessai.v1.payment_pb2 import MerchantCertificate
from kessai.v1.tap_pb2 import (
    AdmissionAnswer,
    AskForAdmission,
    CloseAdmission,
    GrantAdmission,
    JourneyAnswer,
    PresentPayment,
    TapRequest,
    TapResponse,
    TellRefusal,
)
from simulators.phone import screen
from simulators.phone.admissions import Admissions, Ride
from simulators.phone.holder_key import HolderKey
from simulators.phone.purchase import Refused, certificate_time_refusal, open_certificate
from simulators.phone.receipt import ReceiptRefused, accept_receipt
from simulators.phone.screen import Screen
from simulators.phone.store import Store

_ADMISSION_ID_BYTES = 16

Document = TypeVar("Document", Admission, ExitNote, JourneyNote)


@dataclass(frozen=True, slots=True)
class Gate:
    """A terminal that was verified in this session: its certificate, as signed and as read."""

    signed: Signed
    certificate: MerchantCertificate


class TravelCard:
    """What a phone has for gates."""

    def __init__(
        self,
        switch_key: Ed25519PublicKey,
        admissions: Admissions,
        purchases: Store,
        holder_key: HolderKey,
        show: Callable[[Screen], None],
        now_us: Callable[[], int],
    ) -> None:
        self._switch_key, self._admissions, self._purchases = switch_key, admissions, purchases
        self._holder_key, self._show, self._now_us = holder_key, show, now_us
        self._gate: tuple[bytes, Gate] | None = None

    def answer(self, request: TapRequest) -> TapResponse:
        """Answer a gate; all but its first message counts on the certificate that came with it."""
        body = request.WhichOneof("body")
        if body == "ask_for_admission":
            ask = request.ask_for_admission
            verified = self.verify(request.session_id, ask.merchant_certificate)
            if verified is None:
                return TapResponse(status=tap_pb2.TAP_STATUS_REQUEST_REFUSED)
            return self._show_admission(ask, verified)
        gate = self.gate_of(request.session_id)
        if gate is not None and body == "grant_admission":
            return self._keep(request.grant_admission, gate)
        if gate is not None and body == "close_admission":
            return self._close_ride(request.close_admission, gate)
        if gate is not None and body == "tell_refusal":
            return self._refuse(request.tell_refusal, gate)
        return TapResponse(status=tap_pb2.TAP_STATUS_NOT_UNDERSTOOD)

    def verify(self, session_id: bytes, signed: Signed) -> Gate | None:
        """Verify who a terminal is, for the rest of its session; None if it is nobody in date."""
        try:
            certificate = open_certificate(signed, self._switch_key)
            reason = certificate_time_refusal(certificate, self._now_us())
            if reason != decline_pb2.DECLINE_REASON_UNSPECIFIED:
                raise Refused(reason)
        except Refused as refusal:
            self._show(screen.refused("", refusal.reason))
            return None
        gate = Gate(signed, certificate)
        self._gate = (session_id, gate)
        return gate

    def gate_of(self, session_id: bytes) -> Gate | None:
        """Give the terminal that was verified in a session."""
        return self._gate[1] if self._gate is not None and self._gate[0] == session_id else None

    def complete(self, request: TapRequest) -> PresentPayment:
        """Give what is presented; without a certificate, with that of the gate in this session."""
        present, gate = request.present_payment, self.gate_of(request.session_id)
        if gate is not None and not present.HasField("merchant_certificate"):
            present.merchant_certificate.CopyFrom(gate.signed)
        return present

    def open_admission(self, gate: Gate) -> AdmissionAnswer | None:
        """Give the open admission of the gate's carrier, to go with an answer to its challenge."""
        ride = self._admissions.open_ride(gate.certificate.merchant_id)
        return None if ride is None else AdmissionAnswer(admission=ride.signed)

    def journey(self, gate: Gate) -> JourneyAnswer | None:
        """Give the journey with the gate's carrier, if it may go on."""
        return self._admissions.journey(gate.certificate.merchant_id)

    def _keep_journey(self, note: Signed | None, gate: Gate) -> None:
        """Keep the journey that a ride ended, or forget the one before if none leads on."""
        journey = None if note is None else _open(note, JOURNEY, gate, JourneyNote.FromString)
        merchant = gate.certificate.merchant_id
        if note is None or journey is None:
            self._admissions.forget_journey(merchant)
        elif journey.holder_public_key == self._holder_key.public_key:
            self._admissions.keep_journey(merchant, note, gate.signed)

    def _show_admission(self, ask: AskForAdmission, gate: Gate) -> TapResponse:
        """Show the open admission of the gate's carrier, with the proof that it is this phone's."""
        certificate = gate.certificate
        if len(ask.nonce) != CHALLENGE_BYTES:
            return TapResponse(status=tap_pb2.TAP_STATUS_NOT_UNDERSTOOD)
        ride = self._admissions.open_ride(certificate.merchant_id)
        if ride is None:
            return TapResponse(status=tap_pb2.TAP_STATUS_ADMISSION_MISSING)
        nonce = challenge_of(ask.nonce)
        asked = Asked(nonce, certificate.merchant_id, certificate.terminal_id)
        proven = self._holder_key.answer(asked, self._now_us())
        if proven is None:
            return TapResponse(status=tap_pb2.TAP_STATUS_HOLDER_UNKNOWN)
        answer = AdmissionAnswer(admission=ride.signed, proof=proven.proof)
        if ask.with_entry_certificate:
            answer.entry_certificate.CopyFrom(ride.certificate)
        return TapResponse(status=tap_pb2.TAP_STATUS_ADMISSION_SHOWN, admission_answer=answer)

    def _keep(self, grant: GrantAdmission, gate: Gate) -> TapResponse:
        """Keep an admission that the gate gives this phone."""
        admission = _open(grant.admission, ADMISSION, gate, Admission.FromString)
        if (
            admission is None
            or len(admission.admission_id) != _ADMISSION_ID_BYTES
            or admission.holder_public_key != self._holder_key.public_key
        ):
            return TapResponse(status=tap_pb2.TAP_STATUS_ADMISSION_REFUSED)
        self._admissions.keep(admission, grant.admission, gate.signed)
        self._show(screen.admitted(gate.certificate.display_name, admission))
        return TapResponse(status=tap_pb2.TAP_STATUS_ADMISSION_KEPT)

    def _close_ride(self, close: CloseAdmission, gate: Gate) -> TapResponse:
        """Close a ride, and keep the receipt of its fare if one came and is good."""
        note = _open(close.exit_note, EXIT_NOTE, gate, ExitNote.FromString)
        ride = None if note is None else self._admissions.find(note.admission_id)
        if note is None or ride is None or not _is_of(note, ride):
            return TapResponse(status=tap_pb2.TAP_STATUS_EXIT_NOTE_REFUSED)
        self._admissions.close_ride(note.admission_id, close.exit_note)
        self._keep_journey(close.journey_note if close.HasField("journey_note") else None, gate)
        paid = self._keep_receipt(close.receipt) if close.HasField("receipt") else None
        carrier = gate.certificate.display_name
        page = screen.ride_over(carrier, ride.admission, note, paid, close.is_unpriced)
        self._show(page)
        return TapResponse(status=tap_pb2.TAP_STATUS_ADMISSION_CLOSED)

    def _refuse(self, tell: TellRefusal, gate: Gate) -> TapResponse:
        """Show why the gate stays shut."""
        self._show(screen.refused(gate.certificate.display_name, tell.decline_reason))
        return TapResponse(status=tap_pb2.TAP_STATUS_REFUSAL_SHOWN)

    def _keep_receipt(self, receipt: Signed) -> Screen | None:
        try:
            return accept_receipt(receipt.SerializeToString(), self._switch_key, self._purchases)
        except ReceiptRefused:
            return None  # the ride is over all the same; the bank's statement tells the rest


def _is_of(note: ExitNote, ride: Ride) -> bool:
    try:
        fare = Money.from_proto(note.fare)
    except MoneyError:
        return False
    return fare.minor >= 0 and ride.admission.merchant_id == note.merchant_id


def _open(
    signed: Signed, kind: str, gate: Gate, parse: Callable[[bytes], Document]
) -> Document | None:
    """Verify that the gate itself signed a document; None if not."""
    try:
        key = load_public_key(gate.certificate.terminal_public_key)
        document = open_signed(signed, kind, key, parse)
    except EnvelopeError:
        return None
    said = (document.merchant_id, document.terminal_id)
    return (
        document if said == (gate.certificate.merchant_id, gate.certificate.terminal_id) else None
    )
