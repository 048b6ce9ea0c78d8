"""A device believes the switch's answer only if it is for its own keys and of one piece."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kessai.enrollment.answer import AnswerRefused, read_answer
from kessai.enrollment.tls_key import signing_request
from kessai.envelope import raw_public_key, sign_bytes
from kessai.pairing_code import PairingCode
from kessai.v1.device_pb2 import EnrollDeviceResponse
from kessai.v1.envelope_pb2 import Signed
from server.identity.enrollment import Application
from server.identity.trust import trust_bundle
from tests.unit.server.ports import DOMAIN, SHOP, Switch

TILL = "agent/shop/till"
PROOF = b"kessai/enroll/v1\0"


class Pairing:
    """A terminal in the midst of its pairing, with the good answer in its hands."""

    def __init__(self, folder: Path) -> None:
        self.switch = Switch(folder)
        self.switch.merchants.add(SHOP)
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.signing_key = Ed25519PrivateKey.generate()
        self.pairing = PairingCode("host:1", "", self.switch.authority.root_fingerprint)
        self.answer = self.enroll(TILL, self.key, self.signing_key)

    def enroll(
        self, device: str, key: ec.EllipticCurvePrivateKey, signing_key: Ed25519PrivateKey
    ) -> EnrollDeviceResponse:
        """Enrol a terminal, and answer as the switch does."""
        request = signing_request(key)
        code, _ = self.switch.desk.hand_out(self.switch.request_id(), device)
        proof = sign_bytes(PROOF + request, signing_key)
        public = raw_public_key(signing_key.public_key())
        issued, _ = self.switch.enrollment.enroll(Application(code, request, public, proof, ""))
        return EnrollDeviceResponse(
            certificate_chain=issued.chain,
            trust_bundle=trust_bundle(self.switch.authority, self.switch.keyring),
            merchant_certificate=Signed.FromString(issued.merchant_certificate),
            server_address="host:2",
            identity=f"spiffe://{DOMAIN}/{device}",
        )

    def read(self) -> str:
        """Read the answer, as `pair` does; the device that it makes."""
        root = self.switch.authority.root_pem
        return read_answer(self.answer, self.pairing, root, self.key, self.signing_key).device


@pytest.fixture
def pairing(tmp_path: Path) -> Iterator[Pairing]:
    """A terminal in the midst of its pairing."""
    made = Pairing(tmp_path)
    yield made
    made.switch.directory.close()


def test_the_good_answer_is_believed(pairing: Pairing) -> None:
    """The one that the next test damages."""
    assert pairing.read() == TILL


def _other_key(pairing: Pairing) -> None:
    pairing.key = ec.generate_private_key(ec.SECP256R1())


def _other_signing_key(pairing: Pairing) -> None:
    pairing.signing_key = Ed25519PrivateKey.generate()


def _other_name(pairing: Pairing) -> None:
    pairing.answer.identity = f"spiffe://{DOMAIN}/agent/shop/other"


def _no_name(pairing: Pairing) -> None:
    pairing.answer.identity = "till"


def _no_chain(pairing: Pairing) -> None:
    pairing.answer.certificate_chain = b""


def _leaf_alone(pairing: Pairing) -> None:
    chain = pairing.answer.certificate_chain
    pairing.answer.certificate_chain = chain[: chain.index(b"-----END") + 26]


def _chain_of_another_switch(pairing: Pairing) -> None:
    other = Switch(pairing.switch.folder / "other")
    pairing.answer.certificate_chain = other.authority.issue(TILL, pairing.key.public_key()).chain
    other.directory.close()


def _other_root(pairing: Pairing) -> None:
    pairing.answer.trust_bundle.root_certificate += b"\0"


def _short_switch_key(pairing: Pairing) -> None:
    pairing.answer.trust_bundle.switch_public_key = b"short"


def _no_sealing_key(pairing: Pairing) -> None:
    pairing.answer.trust_bundle.ClearField("sealing_public_key")


def _bad_account(pairing: Pairing) -> None:
    pairing.answer.account_numbers.append("1")


def _no_merchant_certificate(pairing: Pairing) -> None:
    pairing.answer.ClearField("merchant_certificate")


def _altered_merchant_certificate(pairing: Pairing) -> None:
    signature = bytearray(pairing.answer.merchant_certificate.signature)
    signature[0] ^= 1
    pairing.answer.merchant_certificate.signature = bytes(signature)


def _merchant_certificate_of_another_terminal(pairing: Pairing) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    other = pairing.enroll("agent/shop/other", key, Ed25519PrivateKey.generate())
    pairing.answer.merchant_certificate.CopyFrom(other.merchant_certificate)


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (_other_key, "another key"),
        (_other_signing_key, "another signing key"),
        (_other_name, "another device"),
        (_no_name, "an identity is"),
        (_no_chain, "not of its root"),
        (_leaf_alone, "not of its root"),
        (_chain_of_another_switch, "not of its root"),
        (_other_root, "root is not"),
        (_short_switch_key, "no good"),
        (_no_sealing_key, "no good"),
        (_bad_account, "14 digits"),
        (_no_merchant_certificate, "merchant certificate is not good"),
        (_altered_merchant_certificate, "does not verify"),
        (_merchant_certificate_of_another_terminal, "another terminal"),
    ],
)
def test_a_damaged_answer_is_refused(
    pairing: Pairing, damage: Callable[[Pairing], None], why: str
) -> None:
    """Each part that does not hold is named."""
    damage(pairing)
    with pytest.raises(AnswerRefused, match=why):
        pairing.read()
