"""Admissions and exit notes: making them, and which ones a gate believes (mission row B4).

A gate believes an admission that another gate of its own merchant signed while its certificate was
good, shown by the phone whose key stands in it. It learns the certificates of the other gates from
the phones that come from there. Pure; called by `entry` and `leaving`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from edge_agents.payment_request import Terminal
from kessai.decline import name_of
from kessai.envelope import (
    ADMISSION,
    EXIT_NOTE,
    HOLDER_PROOF,
    JOURNEY,
    MERCHANT_CERTIFICATE,
    DocumentMalformed,
    EnvelopeError,
    PublicKey,
    key_id_of,
    load_public_key,
    open_signed,
    read_unverified,
    sign,
)
from kessai.holder import Asked, Holder
from kessai.money import Money
from kessai.v1 import decline_pb2 as d
from kessai.v1.decline_pb2 import DeclineReason
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.fare_pb2 import Admission, ExitNote, Journey, JourneyNote
from kessai.v1.holder_pb2 import HolderProof
from kessai.v1.payment_pb2 import MerchantCertificate

_SECOND_US = 1_000_000

Document = TypeVar("Document", Admission, JourneyNote)


class Refused(Exception):
    """The gate stays shut; `reason` says why."""

    def __init__(self, reason: DeclineReason.ValueType) -> None:
        super().__init__(name_of(reason))
        self.reason = reason


class EntryGates:
    """The gates whose admissions are believed: those of one merchant, as the switch certified."""

    def __init__(self, terminal: Terminal) -> None:
        self._switch_key, self._merchant_id = terminal.switch_key, terminal.merchant_id
        self._known: dict[bytes, tuple[PublicKey, MerchantCertificate]] = {}
        self.learn(terminal.merchant_certificate)

    def knows(self, signed: Signed) -> bool:
        """Whether the certificate of the gate that signed an admission is known, and covers it."""
        found = self._known.get(signed.key_id)
        if found is None:
            return False
        try:
            claimed = read_unverified(signed, Admission)
        except DocumentMalformed:
            return True  # no certificate makes it better
        return _is_covered(claimed, found[1])

    def learn(self, certificate: Signed) -> None:
        """Take a gate's certificate, if it is the switch's and of the same merchant.

        Of two certificates of one key the later stays: a phone may bring one from before a renewal.
        """
        try:
            opened = open_signed(
                certificate, MERCHANT_CERTIFICATE, self._switch_key, MerchantCertificate.FromString
            )
            key = load_public_key(opened.terminal_public_key)
        except EnvelopeError:
            return
        known = self._known.get(key_id_of(key))
        if known is not None and _end_us(known[1]) >= _end_us(opened):
            return
        if opened.merchant_id == self._merchant_id:
            self._known[key_id_of(key)] = (key, opened)

    def open_admission(self, signed: Signed) -> Admission:
        """Verify an admission; Refused with ADMISSION_INVALID if it is forged or another's."""
        admission, gate = self._open(signed, ADMISSION, Admission.FromString)
        if not _is_covered(admission, gate):
            raise Refused(d.DECLINE_REASON_ADMISSION_INVALID)
        return admission

    def open_journey(self, signed: Signed, holder_key: bytes) -> Journey:
        """Verify the journey of a holder; Refused with ADMISSION_INVALID as an admission is."""
        note, gate = self._open(signed, JOURNEY, JourneyNote.FromString)
        rides = note.journey.rides
        is_covered = rides and rides[-1].exit_time.ToMicroseconds() < _end_us(gate)
        if note.holder_public_key != holder_key or not is_covered:
            raise Refused(d.DECLINE_REASON_ADMISSION_INVALID)
        return note.journey

    def _open(
        self, signed: Signed, kind: str, parse: Callable[[bytes], Document]
    ) -> tuple[Document, MerchantCertificate]:
        found = self._known.get(signed.key_id)
        if found is None:
            raise Refused(d.DECLINE_REASON_ADMISSION_INVALID)
        key, gate = found
        try:
            document = open_signed(signed, kind, key, parse)
        except EnvelopeError:
            raise Refused(d.DECLINE_REASON_ADMISSION_INVALID) from None
        if (document.merchant_id, document.terminal_id) != (gate.merchant_id, gate.terminal_id):
            raise Refused(d.DECLINE_REASON_ADMISSION_INVALID)
        return document, gate


def _is_covered(admission: Admission, gate: MerchantCertificate) -> bool:
    # Not when it was certified first: a gate keeps its key when its certificate is renewed.
    return admission.entry_time.ToMicroseconds() < _end_us(gate)


def _end_us(gate: MerchantCertificate) -> int:
    return gate.expire_time.ToMicroseconds()


def check_proof(proof: Signed, admission: Admission, asked: Asked) -> None:
    """Verify that the phone holds an admission's key; Refused with HOLDER_NOT_PROVEN if not."""
    try:
        key = load_public_key(admission.holder_public_key)
        opened = open_signed(proof, HOLDER_PROOF, key, HolderProof.FromString)
    except EnvelopeError:
        raise Refused(d.DECLINE_REASON_HOLDER_NOT_PROVEN) from None
    said = Asked(opened.challenge, opened.merchant_id, opened.terminal_id)
    if said != asked:
        raise Refused(d.DECLINE_REASON_HOLDER_NOT_PROVEN)


def write_admission(
    admission_id: bytes,
    holder: Holder,
    station: str,
    spent_minor: int,
    entry_us: int,
    expire_us: int,
    terminal: Terminal,
    journey: Journey | None = None,
) -> tuple[Admission, Signed]:
    """Write and sign an admission; times are cut to whole seconds."""
    admission = Admission(
        admission_id=admission_id,
        merchant_id=terminal.merchant_id,
        terminal_id=terminal.terminal_id,
        station_id=station,
        holder_public_key=holder.public_key,
        credential_id=holder.credential_id,
        rider_category=holder.rider_category,
        spent_today_minor=spent_minor,
        journey=journey,
    )
    admission.entry_time.FromSeconds(entry_us // _SECOND_US)
    admission.expire_time.FromSeconds(expire_us // _SECOND_US)
    return admission, sign(ADMISSION, admission, terminal.signing_key)


def write_exit_note(
    admission_id: bytes, station: str, fare: Money, exit_us: int, terminal: Terminal
) -> Signed:
    """Write and sign the note that closes a ride."""
    note = ExitNote(
        admission_id=admission_id,
        merchant_id=terminal.merchant_id,
        terminal_id=terminal.terminal_id,
        station_id=station,
        fare=fare.to_proto(),
    )
    note.exit_time.FromSeconds(exit_us // _SECOND_US)
    return sign(EXIT_NOTE, note, terminal.signing_key)
