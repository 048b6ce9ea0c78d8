"""What a terminal believes of a holder's answer, and what each forgery is refused with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kessai.envelope import HOLDER_CREDENTIAL, HOLDER_PROOF, raw_public_key, sign
from kessai.holder import (
    CREDENTIAL_LIFETIME_US,
    Asked,
    HolderRefused,
    challenge_of,
    open_holder_answer,
    prove,
)
from kessai.money import Money
from kessai.seal import sealed_hash
from kessai.v1 import decline_pb2 as d
from kessai.v1.decline_pb2 import DeclineReason
from kessai.v1.envelope_pb2 import Sealed, Signed
from kessai.v1.holder_pb2 import HolderAnswer, HolderCredential, HolderProof

NOW_US = 1_800_000_000_000_000
SWITCH = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
HOLDER = ec.derive_private_key(4711, ec.SECP256R1())
THIEF = ec.derive_private_key(4712, ec.SECP256R1())
ASKED = Asked(challenge_of(b"n" * 32), "rail", "gate-1")


def credential(
    change: Callable[[HolderCredential], None] = lambda c: None,
    key: Ed25519PrivateKey = SWITCH,
) -> Signed:
    """Certify the holder's key."""
    document = HolderCredential(
        credential_id=b"c" * 16,
        holder_public_key=raw_public_key(HOLDER.public_key()),
        offline_limit=Money(2000, "EUR").to_proto(),
        rider_category="adult",
    )
    document.issue_time.FromMicroseconds(NOW_US)
    document.expire_time.FromMicroseconds(NOW_US + CREDENTIAL_LIFETIME_US)
    change(document)
    return sign(HOLDER_CREDENTIAL, document, key)


def refusal(answer: HolderAnswer, asked: Asked = ASKED, now_us: int = NOW_US) -> str:
    """Tell why an answer is refused."""
    with pytest.raises(HolderRefused) as refused:
        open_holder_answer(answer, SWITCH.public_key(), asked, now_us)
    return DeclineReason.Name(refused.value.reason).removeprefix("DECLINE_REASON_")


def test_a_holder_is_known_by_credential_and_key() -> None:
    """All that a terminal learns is what the switch certified."""
    answer = prove(credential(), HOLDER, ASKED)
    holder = open_holder_answer(answer, SWITCH.public_key(), ASKED, NOW_US)
    assert holder.credential_id == b"c" * 16
    assert holder.offline_limit == Money(2000, "EUR")
    assert (holder.rider_category, holder.issue_us) == ("adult", NOW_US)


@pytest.mark.parametrize(
    "other",
    [
        replace(ASKED, challenge=challenge_of(b"m" * 32)),
        replace(ASKED, merchant_id="tram"),
        replace(ASKED, terminal_id="gate-2"),
    ],
)
def test_an_answer_is_for_one_challenge_at_one_terminal(other: Asked) -> None:
    """What was answered elsewhere, or before, proves nothing here."""
    assert refusal(prove(credential(), HOLDER, other)) == "HOLDER_NOT_PROVEN"


def test_a_proof_stands_for_what_is_given_beside_it() -> None:
    """With a payment: another sealed authorisation is refused, and a proof that names none."""
    given, other = (sealed_hash(Sealed(key_id=b"k" * 16, ciphertext=c)) for c in (b"a", b"b"))
    asked = replace(ASKED, sealed_hash=given)
    open_holder_answer(prove(credential(), HOLDER, asked), SWITCH.public_key(), asked, NOW_US)
    for said in (replace(ASKED, sealed_hash=other), ASKED):
        assert refusal(prove(credential(), HOLDER, said), asked=asked) == "HOLDER_NOT_PROVEN"


def test_a_copied_credential_proves_nothing() -> None:
    """Who has the credential but not its key is no holder."""
    assert refusal(prove(credential(), THIEF, ASKED)) == "HOLDER_NOT_PROVEN"


def test_a_proof_names_its_credential() -> None:
    """Of two credentials for one key, a proof is for one."""
    proof = prove(credential(lambda c: setattr(c, "credential_id", b"d" * 16)), HOLDER, ASKED).proof
    assert refusal(HolderAnswer(credential=credential(), proof=proof)) == "HOLDER_NOT_PROVEN"


def test_another_document_is_no_proof() -> None:
    """The type is signed with the content."""
    content = HolderProof.FromString(prove(credential(), HOLDER, ASKED).proof.payload)
    signed = sign("payment-authorization", content, HOLDER)
    signed.type = HOLDER_PROOF
    assert refusal(HolderAnswer(credential=credential(), proof=signed)) == "HOLDER_NOT_PROVEN"


def test_only_the_switch_certifies() -> None:
    """A credential of one's own making, a damaged one, or none at all."""
    forged = credential(key=Ed25519PrivateKey.generate())
    assert refusal(prove(forged, HOLDER, ASKED)) == "CREDENTIAL_INVALID"
    short = credential(lambda c: setattr(c, "credential_id", b"c"))
    assert refusal(prove(short, HOLDER, ASKED)) == "CREDENTIAL_INVALID"
    nowhere = credential(lambda c: setattr(c.offline_limit, "currency_code", "XXQ"))
    assert refusal(prove(nowhere, HOLDER, ASKED)) == "CREDENTIAL_INVALID"
    assert refusal(HolderAnswer()) == "CREDENTIAL_INVALID"


def test_a_credential_has_its_time() -> None:
    """From when it was issued, by clocks that may differ a little, until it expires."""
    answer = prove(credential(), HOLDER, ASKED)
    assert refusal(answer, now_us=NOW_US + CREDENTIAL_LIFETIME_US) == "CREDENTIAL_EXPIRED"
    assert refusal(answer, now_us=NOW_US - 30_000_001) == "CREDENTIAL_EXPIRED"
    open_holder_answer(answer, SWITCH.public_key(), ASKED, NOW_US - 30_000_000)


def test_a_nonce_cannot_be_a_payment() -> None:
    """The answer to a nonce never answers a request's hash, whatever nonce is chosen."""
    request_hash = b"h" * 32
    answer = prove(credential(), HOLDER, replace(ASKED, challenge=challenge_of(request_hash)))
    assert refusal(answer, replace(ASKED, challenge=request_hash)) == "HOLDER_NOT_PROVEN"
    assert d.DECLINE_REASON_HOLDER_NOT_PROVEN == 65
