"""HPKE sealing by the book (RFC 9180), with a given ephemeral key: for vectors, never for use.

Written from the RFC and not from the library that `kessai.seal` calls, so that the one checks the
other: base mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

_KEM, _KDF, _AEAD = 0x0020, 0x0001, 0x0003
_KEM_SUITE = b"KEM" + _KEM.to_bytes(2, "big")
_SUITE = b"HPKE" + b"".join(number.to_bytes(2, "big") for number in (_KEM, _KDF, _AEAD))
_BASE_MODE = b"\x00"


@dataclass(frozen=True)
class Sealing:
    """What comes out, and what a developer compares on the way to it (RFC 9180, section 5.1)."""

    shared_secret: bytes
    key: bytes
    base_nonce: bytes
    encapsulated_key: bytes
    ciphertext: bytes


def seal_with(
    ephemeral: X25519PrivateKey, recipient: X25519PublicKey, info: bytes, plaintext: bytes
) -> Sealing:
    """Seal one message in base mode, without associated data."""
    encapsulated = ephemeral.public_key().public_bytes_raw()
    context = encapsulated + recipient.public_bytes_raw()
    secret = _extract(_KEM_SUITE, b"", b"eae_prk", ephemeral.exchange(recipient))
    shared = _expand(_KEM_SUITE, secret, b"shared_secret", context, 32)
    schedule = (
        _BASE_MODE
        + _extract(_SUITE, b"", b"psk_id_hash", b"")
        + _extract(_SUITE, b"", b"info_hash", info)
    )
    secret = _extract(_SUITE, shared, b"secret", b"")
    key = _expand(_SUITE, secret, b"key", schedule, 32)
    nonce = _expand(_SUITE, secret, b"base_nonce", schedule, 12)
    ciphertext = ChaCha20Poly1305(key).encrypt(nonce, plaintext, b"")
    return Sealing(shared, key, nonce, encapsulated, ciphertext)


def _extract(suite: bytes, salt: bytes, label: bytes, ikm: bytes) -> bytes:
    """LabeledExtract of section 4."""
    return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + ikm, hashlib.sha256)


def _expand(suite: bytes, prk: bytes, label: bytes, info: bytes, length: int) -> bytes:
    """LabeledExpand of section 4; one block of HKDF is enough for at most 32 bytes."""
    message = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info
    return hmac.digest(prk, message + b"\x01", hashlib.sha256)[:length]
