"""The phone as a holder: what it proves to whom, and what it adds to deferred payments."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kessai.complaint import Complaint
from kessai.envelope import HOLDER_CREDENTIAL, load_public_key, sign, verify_bytes
from kessai.holder import (
    CREDENTIAL_LIFETIME_US,
    Asked,
    challenge_of,
    key_proof_input,
    open_holder_answer,
)
from kessai.seal import sealed_hash, unseal
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.holder_pb2 import HolderCredential
from kessai.v1.payment_pb2 import MerchantCertificate, PaymentAuthorization, PaymentRequest
from kessai.v1.tap_pb2 import ChallengeHolder
from simulators.phone.holder_key import HolderKey
from tests.unit.simulators.phone.conftest import Pocket, PocketMaker
from tests.unit.simulators.phone.counter import SECOND_US, Counter, hash_of, read, status_of

NONCE = b"n" * 32
DAY_US = 24 * 3600 * SECOND_US


def credential(counter: Counter, key: HolderKey, signer: Ed25519PrivateKey | None = None) -> Signed:
    """Certify a phone's holder key as the switch does."""
    document = HolderCredential(
        credential_id=b"c" * 16, holder_public_key=key.public_key, rider_category="adult"
    )
    document.issue_time.FromMicroseconds(counter.now_us)
    document.expire_time.FromMicroseconds(counter.now_us + CREDENTIAL_LIFETIME_US)
    return sign(HOLDER_CREDENTIAL, document, signer or counter.switch_key)


def certified(counter: Counter, pocket: Pocket) -> Pocket:
    """Give a pocket's phone its credential."""
    pocket.holder_key.keep(credential(counter, pocket.holder_key))
    return pocket


def challenge(counter: Counter, nonce: bytes = NONCE, certificate: Signed | None = None) -> bytes:
    """Write the message that challenges the holder."""
    body = ChallengeHolder(nonce=nonce, merchant_certificate=certificate or counter.certificate())
    return counter.message(challenge_holder=body)


def deferred(counter: Counter, after_us: int = DAY_US) -> Signed:
    """Ask for a payment that the terminal may accept without the switch."""

    def change(request: PaymentRequest) -> None:
        request.deferred_expire_time.FromMicroseconds(counter.now_us + after_us)

    return counter.request(change)


def test_it_proves_that_it_is_here(counter: Counter, make_pocket: PocketMaker) -> None:
    """To a terminal that the switch certified; no PIN, and no question to the customer."""
    pocket = certified(counter, make_pocket())
    answer = read(pocket.wallet.answer(challenge(counter)))
    assert status_of(answer.SerializeToString()) == "HOLDER_PROVEN"
    asked = Asked(challenge_of(NONCE), "bakery", "till-1")
    key = counter.switch_key.public_key()
    holder = open_holder_answer(answer.holder_answer, key, asked, counter.now_us)
    assert holder.public_key == pocket.holder_key.public_key
    assert pocket.pages == []


def test_it_answers_no_stranger(counter: Counter, make_pocket: PocketMaker) -> None:
    """Nor a nonce that is none, nor a terminal whose certificate has ended."""

    def ended(certificate: MerchantCertificate) -> None:
        certificate.expire_time.FromMicroseconds(counter.now_us)

    pocket = certified(counter, make_pocket())
    forged = counter.certificate(key=Ed25519PrivateKey.generate())
    for message, status in (
        (challenge(counter, certificate=forged), "REQUEST_REFUSED"),
        (challenge(counter, certificate=counter.certificate(ended)), "REQUEST_REFUSED"),
        (challenge(counter, nonce=b"n" * 31), "NOT_UNDERSTOOD"),
    ):
        assert status_of(pocket.wallet.answer(message)) == status


def test_without_a_credential_it_says_so(counter: Counter, make_pocket: PocketMaker) -> None:
    """Before the bank gave one, and once it has expired."""
    pocket = make_pocket()
    assert pocket.holder_key.is_renewal_due(counter.now_us)
    assert status_of(pocket.wallet.answer(challenge(counter))) == "HOLDER_UNKNOWN"
    certified(counter, pocket)
    assert not pocket.holder_key.is_renewal_due(counter.now_us + CREDENTIAL_LIFETIME_US // 3 - 1)
    assert pocket.holder_key.is_renewal_due(counter.now_us + CREDENTIAL_LIFETIME_US // 3)
    counter.now_us += CREDENTIAL_LIFETIME_US
    assert status_of(pocket.wallet.answer(challenge(counter))) == "HOLDER_UNKNOWN"


def test_a_deferred_payment_carries_the_proof(counter: Counter, make_pocket: PocketMaker) -> None:
    """And only such a one; the authorisation is good as long as the request may be settled."""
    pocket, request = certified(counter, make_pocket()), deferred(counter)
    answer = read(pocket.wallet.answer(counter.present(request)))
    given = sealed_hash(answer.sealed_authorization)
    asked = Asked(hash_of(request), "bakery", "till-1", given)
    open_holder_answer(answer.holder_answer, counter.switch_key.public_key(), asked, counter.now_us)
    opened = unseal(answer.sealed_authorization, counter.sealing_key, hash_of(request))
    said = PaymentAuthorization.FromString(Signed.FromString(opened).payload)
    assert said.expire_time.ToMicroseconds() == counter.now_us + DAY_US
    plain = read(pocket.wallet.answer(counter.present(counter.request())))
    assert not plain.HasField("holder_answer")


def test_without_a_credential_a_deferred_payment_has_no_proof(
    counter: Counter, make_pocket: PocketMaker
) -> None:
    """The terminal then needs the switch."""
    answer = read(make_pocket().wallet.answer(counter.present(deferred(counter))))
    assert status_of(answer.SerializeToString()) == "AUTHORIZED"
    assert not answer.HasField("holder_answer")


@pytest.mark.parametrize("after_us", [120 * SECOND_US - 1, 7 * DAY_US + 1])
def test_how_long_a_payment_may_be_deferred(
    counter: Counter, make_pocket: PocketMaker, after_us: int
) -> None:
    """Not shorter than the request itself lasts, nor longer than seven days."""
    answer = make_pocket().wallet.answer(counter.present(deferred(counter, after_us)))
    assert status_of(answer) == "REQUEST_REFUSED"


def test_the_key_stays(counter: Counter, folder: Path) -> None:
    """After a restart both are there; a damaged credential is none, a damaged key is told."""
    switch_key = counter.switch_key.public_key()
    key = HolderKey(folder, switch_key)
    key.keep(credential(counter, key))
    again = HolderKey(folder, switch_key)
    assert (again.public_key, again.holder) == (key.public_key, key.holder)
    proof = again.prove_possession(b"r" * 16)
    verify_bytes(key_proof_input(b"r" * 16), proof, load_public_key(key.public_key))
    (folder / "holder.bin").write_bytes(b"\xff\xff")
    assert HolderKey(folder, switch_key).holder is None
    (folder / "holder.key").write_bytes(b"rust")
    with pytest.raises(Complaint, match="damaged"):
        HolderKey(folder, switch_key)


@pytest.mark.parametrize("make", ["forged", "foreign"])
def test_it_keeps_no_false_credential(
    counter: Counter, folder: Path, tmp_path: Path, make: str
) -> None:
    """One that the switch did not sign, or for another phone's key."""
    switch_key = counter.switch_key.public_key()
    key, other = HolderKey(folder, switch_key), HolderKey(tmp_path, switch_key)
    false: dict[str, Callable[[], Signed]] = {
        "forged": lambda: credential(counter, key, Ed25519PrivateKey.generate()),
        "foreign": lambda: credential(counter, other),
    }
    with pytest.raises(Complaint, match="not kept"):
        key.keep(false[make]())
    assert HolderKey(folder, switch_key).holder is None
