"""Holders: a phone proves, without the switch and without a PIN, that it is the one certified.

The switch certifies the phone's holder key (`HolderCredential`); the phone signs a terminal's
challenge with it (`HolderProof`). Both ends compute alike: the phone with `prove`, terminals with
`open_holder_answer`. Mission rows B4 and B10; `kessai/v1/holder.proto`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec

from kessai.decline import name_of
from kessai.envelope import (
    HOLDER_CREDENTIAL,
    HOLDER_PROOF,
    EnvelopeError,
    PublicKey,
    load_public_key,
    open_signed,
    read_verified,
    sign,
)
from kessai.money import Money, MoneyError
from kessai.v1 import decline_pb2 as d
from kessai.v1.decline_pb2 import DeclineReason
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.holder_pb2 import HolderAnswer, HolderCredential, HolderProof

CREDENTIAL_ID_BYTES = 16
WALLET_HANDLE_BYTES = 16
WALLET_HANDLE_PERIOD_US = 30 * 24 * 3600 * 1_000_000
CHALLENGE_BYTES = 32
_NONCE_TIME_BYTES = 8
CREDENTIAL_LIFETIME_US = 7 * 24 * 3600 * 1_000_000
CLOCK_TOLERANCE_US = 30_000_000


class HolderRefused(Exception):
    """The holder is not let through; `reason` says why."""

    def __init__(self, reason: DeclineReason.ValueType) -> None:
        super().__init__(name_of(reason))
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Holder:
    """A holder as the switch certified him. Times are microseconds since 1970.

    The handles name his wallet, now and in the 30 days before; empty in credentials of old.
    """

    credential_id: bytes
    public_key: bytes
    offline_limit: Money | None
    rider_category: str
    issue_us: int
    expire_us: int
    wallet_handle: bytes = b""
    former_wallet_handle: bytes = b""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a phone is asked to prove: a challenge of 32 bytes, by a terminal of a merchant.

    `sealed_hash` (see `kessai.seal`) with a payment: what the phone gives beside the proof.
    """

    challenge: bytes
    merchant_id: str
    terminal_id: str
    sealed_hash: bytes = b""


def key_proof_input(request_id: bytes) -> bytes:
    """Give the bytes that a phone signs with a holder key, to have it certified."""
    return b"kessai/holder/v1\0" + request_id


def make_nonce(now_us: int, random_bytes: Callable[[int], bytes]) -> bytes:
    """Make a terminal's nonce: when it was made, and 24 random bytes.

    So the answer to it has an age, which the phone's signature keeps anybody from altering.
    """
    return now_us.to_bytes(_NONCE_TIME_BYTES, "big") + random_bytes(
        CHALLENGE_BYTES - _NONCE_TIME_BYTES
    )


def nonce_us(nonce: bytes) -> int:
    """When a nonce was made, as it says itself; microseconds since 1970."""
    return int.from_bytes(nonce[:_NONCE_TIME_BYTES], "big")


def challenge_of(nonce: bytes) -> bytes:
    """Give the challenge that answers a terminal's nonce.

    A hash, so that no nonce can be chosen which is the hash of somebody's payment request.
    """
    return hashlib.sha256(b"kessai/nonce/v1\0" + nonce).digest()


def prove(credential: Signed, key: ec.EllipticCurvePrivateKey, asked: Asked) -> HolderAnswer:
    """Answer a challenge with the holder's key."""
    proof = HolderProof(
        credential_id=read_verified(credential, HolderCredential).credential_id,
        challenge=asked.challenge,
        merchant_id=asked.merchant_id,
        terminal_id=asked.terminal_id,
        sealed_hash=asked.sealed_hash,
    )
    return HolderAnswer(credential=credential, proof=sign(HOLDER_PROOF, proof, key))


def open_holder_answer(
    answer: HolderAnswer, switch_key: PublicKey, asked: Asked, now_us: int
) -> Holder:
    """Verify an answer, from the switch's signature down to the challenge; the holder comes back.

    HolderRefused with CREDENTIAL_INVALID, CREDENTIAL_EXPIRED or HOLDER_NOT_PROVEN. Whether the
    credential is on a deny list is not known here.
    """
    holder = open_credential(answer.credential, switch_key)
    if not holder.issue_us - CLOCK_TOLERANCE_US <= now_us < holder.expire_us:
        raise HolderRefused(d.DECLINE_REASON_CREDENTIAL_EXPIRED)
    try:
        key = load_public_key(holder.public_key)
        proof = open_signed(answer.proof, HOLDER_PROOF, key, HolderProof.FromString)
    except EnvelopeError:
        raise HolderRefused(d.DECLINE_REASON_HOLDER_NOT_PROVEN) from None
    said = Asked(proof.challenge, proof.merchant_id, proof.terminal_id, proof.sealed_hash)
    if (proof.credential_id, said) != (holder.credential_id, asked):
        raise HolderRefused(d.DECLINE_REASON_HOLDER_NOT_PROVEN)
    return holder


def open_credential(signed: Signed, switch_key: PublicKey) -> Holder:
    """Verify that a credential is the switch's; HolderRefused with CREDENTIAL_INVALID if not."""
    try:
        credential = open_signed(signed, HOLDER_CREDENTIAL, switch_key, HolderCredential.FromString)
        has_limit = credential.HasField("offline_limit")
        limit = Money.from_proto(credential.offline_limit) if has_limit else None
    except (EnvelopeError, MoneyError):
        raise HolderRefused(d.DECLINE_REASON_CREDENTIAL_INVALID) from None
    if len(credential.credential_id) != CREDENTIAL_ID_BYTES:
        raise HolderRefused(d.DECLINE_REASON_CREDENTIAL_INVALID)
    handles = (credential.wallet_handle, credential.former_wallet_handle)
    if tuple(map(len, handles)) not in ((0, 0), (WALLET_HANDLE_BYTES, WALLET_HANDLE_BYTES)):
        raise HolderRefused(d.DECLINE_REASON_CREDENTIAL_INVALID)
    return Holder(
        credential.credential_id,
        credential.holder_public_key,
        limit,
        credential.rider_category,
        credential.issue_time.ToMicroseconds(),
        credential.expire_time.ToMicroseconds(),
        *handles,
    )
