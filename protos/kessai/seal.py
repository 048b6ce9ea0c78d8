"""Sealing: what a phone sends through a terminal, for the switch's eyes only (row B15).

HPKE (RFC 9180) in base mode: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305. The info
is the SHA-256 of the document that the sealed one answers, so it opens for that document only.
"""

from __future__ import annotations

import hashlib

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from kessai.envelope import KEY_ID_BYTES
from kessai.v1.envelope_pb2 import Sealed

MAX_SEALED_BYTES = 16 * 1024

_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)


class SealBroken(Exception):
    """Not sealed to this key, not for this document, or altered on the way."""


def seal(plaintext: bytes, key: X25519PublicKey, info: bytes) -> Sealed:
    """Seal bytes to the switch; `info` is the SHA-256 of the document they answer."""
    return Sealed(key_id=sealing_key_id(key), ciphertext=_SUITE.encrypt(plaintext, key, info))


def unseal(sealed: Sealed, key: X25519PrivateKey, info: bytes) -> bytes:
    """Open what was sealed to this key for this document; SealBroken otherwise."""
    if len(sealed.ciphertext) > MAX_SEALED_BYTES:
        raise SealBroken("too large")
    if sealed.key_id != sealing_key_id(key.public_key()):
        raise SealBroken("sealed to another key")
    try:
        return _SUITE.decrypt(sealed.ciphertext, key, info)
    except (InvalidTag, ValueError):
        raise SealBroken("cannot be opened with this key for this document") from None


def sealing_key_id(key: X25519PublicKey) -> bytes:
    """Name a sealing key: the first 16 bytes of SHA-256 over its 32 raw bytes."""
    return hashlib.sha256(key.public_bytes_raw()).digest()[:KEY_ID_BYTES]


def sealed_hash(sealed: Sealed) -> bytes:
    """Name what was sealed, without opening it, 32 bytes: a phone's holder proof stands for it."""
    parts = hashlib.sha256(sealed.key_id).digest() + hashlib.sha256(sealed.ciphertext).digest()
    return hashlib.sha256(parts).digest()
