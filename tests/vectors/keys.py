"""The fixed keys of the test vectors, and signing that gives the same bytes every time.

Ed25519 is deterministic by itself; P-256 signs here with RFC 6979. Never used outside of tests.
"""

from __future__ import annotations

import hashlib

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from kessai.envelope import PrivateKey, key_id_of, raw_public_key, signing_input
from kessai.v1.envelope_pb2 import (
    SIGNATURE_ALGORITHM_ECDSA_P256_SHA256,
    SIGNATURE_ALGORITHM_ED25519,
    Signed,
)

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def secret(name: str) -> bytes:
    """Make 32 fixed bytes from a name."""
    return hashlib.sha256(b"kessai test vector: " + name.encode()).digest()


KEYS: dict[str, PrivateKey] = {
    "terminal": Ed25519PrivateKey.from_private_bytes(secret("terminal")),
    "switch": Ed25519PrivateKey.from_private_bytes(secret("switch")),
    "phone": ec.derive_private_key(int.from_bytes(secret("phone"), "big"), ec.SECP256R1()),
    "holder": ec.derive_private_key(int.from_bytes(secret("holder"), "big"), ec.SECP256R1()),
    "payee phone": ec.derive_private_key(
        int.from_bytes(secret("payee phone"), "big"), ec.SECP256R1()
    ),
    "stranger": Ed25519PrivateKey.from_private_bytes(secret("stranger")),
    "strange phone": ec.derive_private_key(
        int.from_bytes(secret("strange phone"), "big"), ec.SECP256R1()
    ),
}
SEALING_KEY = X25519PrivateKey.from_private_bytes(secret("sealing"))
OTHER_SEALING_KEY = X25519PrivateKey.from_private_bytes(secret("other sealing"))
EPHEMERAL_KEY = X25519PrivateKey.from_private_bytes(secret("ephemeral"))


def stranger_to(name: str) -> str:
    """Name a key of the same algorithm that is not the one named."""
    return "stranger" if isinstance(KEYS[name], Ed25519PrivateKey) else "strange phone"


def describe(name: str) -> dict[str, str]:
    """Describe a key for the vectors, raw and in hex."""
    key = KEYS[name]
    public = key.public_key()
    return {
        "algorithm": "ED25519" if isinstance(key, Ed25519PrivateKey) else "ECDSA_P256_SHA256",
        "private_key": secret(name).hex(),
        "public_key": raw_public_key(public).hex(),
        "key_id": key_id_of(public).hex(),
    }


def sign_payload(document_type: str, payload: bytes, key_name: str) -> Signed:
    """Sign a payload as it is, whatever it is, with a fixed key."""
    key = KEYS[key_name]
    is_ed25519 = isinstance(key, Ed25519PrivateKey)
    return Signed(
        type=document_type,
        key_id=key_id_of(key.public_key()),
        algorithm=(
            SIGNATURE_ALGORITHM_ED25519 if is_ed25519 else SIGNATURE_ALGORITHM_ECDSA_P256_SHA256
        ),
        payload=payload,
        signature=sign_fixed(signing_input(document_type, payload), key_name),
    )


def sign_fixed(message: bytes, key_name: str) -> bytes:
    """Sign bytes with a fixed key, the same way each time; 64 bytes."""
    key = KEYS[key_name]
    if isinstance(key, Ed25519PrivateKey):
        return key.sign(message)
    how = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
    r, s = decode_dss_signature(key.sign(message, how))
    return r.to_bytes(32, "big") + min(s, P256_ORDER - s).to_bytes(32, "big")


def with_high_s(signature: bytes) -> bytes:
    """Give the twin of a P-256 signature, which plain ECDSA also takes."""
    s = int.from_bytes(signature[32:], "big")
    return signature[:32] + (P256_ORDER - s).to_bytes(32, "big")


def flip(data: bytes, bit: int) -> bytes:
    """Flip one bit."""
    index, mask = bit // 8, 1 << bit % 8
    return data[:index] + bytes([data[index] ^ mask]) + data[index + 1 :]
