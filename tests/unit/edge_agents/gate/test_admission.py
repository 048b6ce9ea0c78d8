"""Which admissions a gate believes: each rung of the ladder, and every altered byte."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_agents.gate.admission import (
    EntryGates,
    Refused,
    check_proof,
    write_admission,
    write_exit_note,
)
from edge_agents.payment_request import Terminal
from kessai.decline import name_of
from kessai.envelope import (
    EXIT_NOTE,
    HOLDER_PROOF,
    MERCHANT_CERTIFICATE,
    open_signed,
    raw_public_key,
    sign,
)
from kessai.holder import Asked, Holder
from kessai.money import Money
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.fare_pb2 import ExitNote
from kessai.v1.holder_pb2 import HolderProof
from kessai.v1.payment_pb2 import MerchantCertificate

SWITCH = Ed25519PrivateKey.generate()
HOLDER = ec.generate_private_key(ec.SECP256R1())
NOW_US = 1_790_000_000_000_000
DAY_US = 86_400_000_000
RIDE = bytes(16)
ASKED = Asked(bytes(32), "line", "out")


def gate(name: str, merchant: str = "line", expire_us: int = NOW_US + DAY_US) -> Terminal:
    key = Ed25519PrivateKey.generate()
    certificate = MerchantCertificate(
        merchant_id=merchant,
        terminal_id=name,
        terminal_public_key=raw_public_key(key.public_key()),
    )
    certificate.expire_time.FromMicroseconds(expire_us)
    signed = sign(MERCHANT_CERTIFICATE, certificate, SWITCH)
    return Terminal(merchant, name, "Line", key, signed, SWITCH.public_key())


def admission_of(terminal: Terminal) -> Signed:
    holder = Holder(bytes(16), raw_public_key(HOLDER.public_key()), None, "adult", 0, DAY_US)
    _, signed = write_admission(RIDE, holder, "a", 0, NOW_US, NOW_US + DAY_US, terminal)
    return signed


def refusal(gates: EntryGates, signed: Signed) -> str:
    with pytest.raises(Refused) as raised:
        gates.open_admission(signed)
    return name_of(raised.value.reason)


def test_an_admission_of_another_gate_of_the_line() -> None:
    here, there = gate("out"), gate("in")
    gates, signed = EntryGates(here), admission_of(there)
    assert not gates.knows(signed)
    assert refusal(gates, signed) == "ADMISSION_INVALID"
    gates.learn(there.merchant_certificate)
    assert gates.knows(signed)
    assert gates.open_admission(signed).admission_id == RIDE


def test_gates_that_are_not_of_the_line_are_not_learned() -> None:
    gates = EntryGates(gate("out"))
    other = gate("in", merchant="other")
    gates.learn(other.merchant_certificate)
    assert refusal(gates, admission_of(other)) == "ADMISSION_INVALID"
    forged = gate("in")
    forged.merchant_certificate.signature = bytes(64)
    gates.learn(forged.merchant_certificate)
    assert refusal(gates, admission_of(forged)) == "ADMISSION_INVALID"


def test_an_admission_from_after_the_certificate_ended() -> None:
    gates, late = EntryGates(gate("out")), gate("in", expire_us=NOW_US)
    gates.learn(late.merchant_certificate)
    assert refusal(gates, admission_of(late)) == "ADMISSION_INVALID"


def renewed(terminal: Terminal, expire_us: int) -> Terminal:
    """The same gate, with the certificate that a renewal gave it."""
    former = MerchantCertificate.FromString(terminal.merchant_certificate.payload)
    former.expire_time.FromMicroseconds(expire_us)
    return replace(terminal, merchant_certificate=sign(MERCHANT_CERTIFICATE, former, SWITCH))


def test_a_gate_whose_certificate_was_renewed_is_asked_for_the_new_one() -> None:
    """Once the first had ended, everybody from there was kept inside until a restart."""
    gates, before = EntryGates(gate("out")), gate("in", expire_us=NOW_US)
    gates.learn(before.merchant_certificate)
    now = renewed(before, NOW_US + DAY_US)
    signed = admission_of(now)
    assert not gates.knows(signed)
    gates.learn(now.merchant_certificate)
    assert gates.open_admission(signed).admission_id == RIDE


def test_a_phone_with_an_old_certificate_keeps_nobody_inside() -> None:
    """One hostile phone, that had kept it from a ride, could do that to everybody's."""
    gates, before = EntryGates(gate("out")), gate("in", expire_us=NOW_US)
    now = renewed(before, NOW_US + DAY_US)
    gates.learn(now.merchant_certificate)
    gates.learn(before.merchant_certificate)
    assert gates.knows(admission_of(now))
    assert gates.open_admission(admission_of(now)).admission_id == RIDE


def test_an_admission_that_cannot_be_read_is_refused() -> None:
    here = gate("out")
    gates, signed = EntryGates(here), admission_of(here)
    signed.payload = b"\xff"
    assert gates.knows(signed)
    assert refusal(gates, signed) == "ADMISSION_INVALID"


def test_a_gate_cannot_sign_for_another() -> None:
    here, there = gate("out"), gate("in")
    gates = EntryGates(here)
    gates.learn(there.merchant_certificate)
    posing = Terminal(
        "line", "in", "Line", here.signing_key, here.merchant_certificate, here.switch_key
    )
    assert refusal(gates, admission_of(posing)) == "ADMISSION_INVALID"


def test_every_altered_byte_is_noticed() -> None:
    here = gate("out")
    gates, signed = EntryGates(here), admission_of(here)
    for position in range(len(signed.payload)):
        altered = Signed.FromString(signed.SerializeToString())
        payload = bytearray(signed.payload)
        payload[position] ^= 1
        altered.payload = bytes(payload)
        assert refusal(gates, altered) == "ADMISSION_INVALID"


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (ec.generate_private_key(ec.SECP256R1()), ASKED),
        (HOLDER, Asked(bytes(31) + b"x", "line", "out")),
        (HOLDER, Asked(bytes(32), "other", "out")),
        (HOLDER, Asked(bytes(32), "line", "in")),
    ],
)
def test_who_does_not_hold_the_key(key: ec.EllipticCurvePrivateKey, said: Asked) -> None:
    """Another phone, an old answer, one for another merchant or gate."""
    here = gate("out")
    admission = EntryGates(here).open_admission(admission_of(here))
    proof = HolderProof(
        challenge=said.challenge, merchant_id=said.merchant_id, terminal_id=said.terminal_id
    )
    with pytest.raises(Refused) as raised:
        check_proof(sign(HOLDER_PROOF, proof, key), admission, ASKED)
    assert name_of(raised.value.reason) == "HOLDER_NOT_PROVEN"


def test_who_holds_the_key() -> None:
    here = gate("out")
    admission = EntryGates(here).open_admission(admission_of(here))
    proof = HolderProof(challenge=bytes(32), merchant_id="line", terminal_id="out")
    check_proof(sign(HOLDER_PROOF, proof, HOLDER), admission, ASKED)


def test_a_note_says_where_and_for_how_much() -> None:
    here = gate("out")
    signed = write_exit_note(RIDE, "b", Money(320, "EUR"), NOW_US, here)
    note = open_signed(signed, EXIT_NOTE, here.signing_key.public_key(), ExitNote.FromString)
    assert (note.admission_id, note.station_id, note.fare.amount_minor) == (RIDE, "b", 320)


def test_a_tap_is_short() -> None:
    """What goes over the air before a gate opens: see docs/features/gates.md."""
    here = gate("entry-harbour-gate-2", merchant="harbour-line")
    assert len(here.merchant_certificate.SerializeToString()) <= 230
    assert len(admission_of(here).SerializeToString()) <= 320
