"""Keys that come in raw: the vectors are in `test_vectors.py`; here is why, and X25519."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from kessai.ed25519_point import PRIME, Point, add, point_at
from kessai.public_key import (
    _SMALL_U,
    _Y_OF_ORDER_8,
    KeyRefused,
    load_key,
    load_sealing_key,
    load_switch_key,
)

NEUTRAL = (1).to_bytes(32, "little")


def test_anybody_signs_for_a_key_of_small_order() -> None:
    """R neutral and S zero verify over any message, so the key itself must be refused."""
    for message in (b"pay 1.00", b"pay 1,000.00"):
        Ed25519PublicKey.from_public_bytes(NEUTRAL).verify(NEUTRAL + bytes(32), message)
    with pytest.raises(KeyRefused, match="small order"):
        load_key(NEUTRAL)


def test_every_honest_key_is_taken() -> None:
    for number in range(200):
        seed = hashlib.sha256(number.to_bytes(2, "big")).digest()
        raw = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
        assert load_switch_key(raw).public_bytes_raw() == raw
        sealing = X25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
        assert load_sealing_key(sealing).public_bytes_raw() == sealing


def encoded(point: Point) -> bytes:
    """A point as a raw key."""
    inverse = pow(point.z, -1, PRIME)
    x, y = point.x * inverse % PRIME, point.y * inverse % PRIME
    return (y | (x & 1) << 255).to_bytes(32, "little")


def test_a_key_with_a_part_of_small_order_is_refused() -> None:
    """An honest key plus each of the seven points of small order: OpenSSL would take it."""
    raw = Ed25519PrivateKey.from_private_bytes(bytes(range(32))).public_key().public_bytes_raw()
    honest = point_at(int.from_bytes(raw, "little") & (2**255 - 1))
    of_order_8 = point_at(_Y_OF_ORDER_8)
    assert honest is not None
    assert of_order_8 is not None
    mixed = honest
    for _ in range(7):
        mixed = add(mixed, of_order_8)
        Ed25519PublicKey.from_public_bytes(encoded(mixed))
        with pytest.raises(KeyRefused, match="a part of small order"):
            load_key(encoded(mixed))
    assert encoded(add(mixed, of_order_8)) == encoded(honest)
    load_key(encoded(honest))


@pytest.mark.parametrize("u", sorted(_SMALL_U | {PRIME, PRIME + 1, 2**255 + 9, 2**256 - 1}))
def test_a_sealing_key_of_small_order_or_of_another_form_is_none(u: int) -> None:
    with pytest.raises(KeyRefused):
        load_sealing_key(u.to_bytes(32, "little"))


def test_the_switch_signs_with_ed25519() -> None:
    point = bytes.fromhex(
        "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
        "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
    )
    load_key(point)
    with pytest.raises(KeyRefused, match="Ed25519"):
        load_switch_key(point)
