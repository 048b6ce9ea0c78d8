"""One bit turned around, anywhere: no altered document verifies, no altered payment moves money.

KESSAI_EXAMPLES turns more bits.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from google.protobuf.message import DecodeError, Message

from kessai import envelope
from kessai.envelope import EnvelopeError, PrivateKey, open_signed, sign
from kessai.seal import SealBroken, seal, unseal
from kessai.v1 import payment_pb2
from kessai.v1.bill_pb2 import Bill, WalletCertificate
from kessai.v1.envelope_pb2 import Sealed, Signed
from kessai.v1.fare_pb2 import Admission, ExitNote, JourneyNote
from kessai.v1.holder_pb2 import HolderCredential, HolderProof
from kessai.v1.payment_pb2 import (
    MerchantCertificate,
    PaymentAuthorization,
    PaymentRequest,
    Receipt,
    SettlePaymentRequest,
)
from kessai.v1.relay_pb2 import RelayedAnswer, RelayedCall
from kessai.v1.ticket_pb2 import Ticket
from tests.attack.plausible import plausible
from tests.attack.world import SETTLE, World

EXAMPLES = int(os.environ.get("KESSAI_EXAMPLES") or 0)
ON_THE_WIRE = EXAMPLES or 40

DOCUMENTS: dict[str, type[Message]] = {
    envelope.PAYMENT_REQUEST: PaymentRequest,
    envelope.PAYMENT_AUTHORIZATION: PaymentAuthorization,
    envelope.MERCHANT_CERTIFICATE: MerchantCertificate,
    envelope.RECEIPT: Receipt,
    envelope.HOLDER_CREDENTIAL: HolderCredential,
    envelope.HOLDER_PROOF: HolderProof,
    envelope.TICKET: Ticket,
    envelope.ADMISSION: Admission,
    envelope.EXIT_NOTE: ExitNote,
    envelope.JOURNEY: JourneyNote,
    envelope.BILL: Bill,
    envelope.WALLET_CERTIFICATE: WalletCertificate,
    envelope.RELAYED_CALL: RelayedCall,
    envelope.RELAYED_ANSWER: RelayedAnswer,
}
KEYS: tuple[PrivateKey, ...] = (
    Ed25519PrivateKey.from_private_bytes(bytes(range(32))),
    ec.derive_private_key(0xC0FFEE, ec.SECP256R1()),
)


def test_every_kind_of_document_is_flipped() -> None:
    """A kind that is new stands in the table above."""
    kinds = {
        value
        for name, value in vars(envelope).items()
        if name.isupper() and isinstance(value, str) and not name.startswith("_")
    }
    assert kinds == set(DOCUMENTS)


def flipped(content: bytes, dice: random.Random) -> Iterator[bytes]:
    """The content with one bit turned around: of each byte one, or all."""
    for position in range(len(content)):
        bits = range(8) if EXAMPLES else (dice.randrange(8),)
        for bit in bits:
            altered = bytearray(content)
            altered[position] ^= 1 << bit
            yield bytes(altered)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", DOCUMENTS)
def test_no_altered_document_verifies(world: World, kind: str, random_seed: int) -> None:
    """Payload, signature, key id, type, algorithm: whatever is altered, it is refused."""
    dice = random.Random(random_seed)
    document = plausible(DOCUMENTS[kind](), world)
    for key in KEYS:
        signed = sign(kind, document, key)
        parse = DOCUMENTS[kind].FromString
        assert open_signed(signed, kind, key.public_key(), parse) == document
        for altered in flipped(signed.SerializeToString(deterministic=True), dice):
            try:
                read = Signed.FromString(altered)
            except DecodeError:
                continue
            if _says_the_same(read, signed):
                continue
            with pytest.raises(EnvelopeError):
                open_signed(read, kind, key.public_key(), parse)


@pytest.mark.timeout(300)
def test_no_altered_seal_opens(random_seed: int) -> None:
    """Nor one that was made for another document."""
    key, info = X25519PrivateKey.generate(), bytes(32)
    sealed = seal(b"what only the switch may read", key.public_key(), info)
    assert unseal(sealed, key, info)
    dice = random.Random(random_seed)
    for altered in flipped(sealed.ciphertext, dice):
        with pytest.raises(SealBroken):
            unseal(Sealed(key_id=sealed.key_id, ciphertext=altered), key, info)
    for other_info in flipped(info, dice):
        with pytest.raises(SealBroken):
            unseal(sealed, key, other_info)


@pytest.mark.timeout(1800)
def test_no_altered_payment_moves_anything_else(world: World, random_seed: int) -> None:
    """What arrives altered is refused, or it is the payment that both have signed, once."""
    before = world.switch.balance(world.phone.account_number)
    asked = world.terminal.ask()
    message = world.terminal.settlement(asked, world.phone.agree(asked))
    content = message.SerializeToString(deterministic=True)
    dice = random.Random(random_seed)
    for position in dice.sample(range(len(content)), min(ON_THE_WIRE, len(content))):
        altered = bytearray(content)
        altered[position] ^= 1 << dice.randrange(8)
        answer = world.terminal.call(SETTLE, bytes(altered))
        if answer.response is None:
            continue
        if world.receipt(answer.response.receipt).outcome == payment_pb2.PAYMENT_OUTCOME_SETTLED:
            assert _is_the_same_payment(bytes(altered), message)
    answer = world.terminal.call(SETTLE, message)
    receipt = world.receipt(answer.response.receipt)
    assert receipt.outcome == payment_pb2.PAYMENT_OUTCOME_SETTLED
    paid = before - world.switch.balance(world.phone.account_number)
    assert paid == asked[0].total.amount_minor
    world.assert_unharmed()


def _says_the_same(read: Signed, signed: Signed) -> bool:
    # A bit in a length or a tag may move bytes into an unknown field, which nobody reads.
    read.DiscardUnknownFields()
    return read == signed


def _is_the_same_payment(altered: bytes, message: SettlePaymentRequest) -> bool:
    read = SettlePaymentRequest.FromString(altered)
    return (
        read.payment_request.payload == message.payment_request.payload
        and read.sealed_authorization.ciphertext == message.sealed_authorization.ciphertext
    )
