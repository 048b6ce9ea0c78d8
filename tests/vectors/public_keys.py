"""Raw public keys that nobody may have: of small order, not in their one form, or no point."""

from __future__ import annotations

from typing import Any

from kessai.ed25519_point import add, point_at
from tests.vectors.keys import flip

_PRIME = 2**255 - 19
_SIGN = 2**255
_Y_OF_ORDER_8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_P256_PRIME = 2**256 - 2**224 + 2**192 + 2**96 - 1
# The point with x = 0: so x and the prime are the same field element.
_P256_Y_OF_0 = 0x66485C780E2F83D72433BD5D84A06BB6541C2AF31DAE871728BF856A174F93F4


def public_key_vectors(keys: dict[str, Any]) -> dict[str, Any]:
    """Make the vectors: the keys of the purchase, and what is refused."""
    ed25519, p256 = (bytes.fromhex(keys[name]["public_key"]) for name in ("terminal", "phone"))
    valid = {"Ed25519": ed25519, "P-256": p256, "P-256, x is zero": _point(0, _P256_Y_OF_0)}
    invalid = _bad_ed25519(ed25519) | _bad_p256(p256)
    return {
        kind: [{"name": name, "public_key": raw.hex()} for name, raw in cases.items()]
        for kind, cases in (("valid", valid), ("invalid", invalid))
    }


def _bad_ed25519(good: bytes) -> dict[str, bytes]:
    numbers = {
        "order 1": 1,
        "order 1, with the sign of an x that is zero": 1 + _SIGN,
        "order 1, y beyond the prime": _PRIME + 1,
        "order 2": _PRIME - 1,
        "order 2, with a sign": _PRIME - 1 + _SIGN,
        "order 4": 0,
        "order 4, with a sign": _SIGN,
        "order 4, y beyond the prime": _PRIME,
        "order 8": _Y_OF_ORDER_8,
        "order 8, with a sign": _Y_OF_ORDER_8 + _SIGN,
        "order 8, the other y": _PRIME - _Y_OF_ORDER_8,
        "order 8, the other y, with a sign": _PRIME - _Y_OF_ORDER_8 + _SIGN,
        "y beyond the prime": _PRIME + 3,
        "all bits set": 2**256 - 1,
        "no point of the curve": 2,
    }
    found = {f"Ed25519, {name}": y.to_bytes(32, "little") for name, y in numbers.items()}
    return found | {
        "Ed25519, with a part of small order": _mixed(good),
        "Ed25519, a byte short": good[:-1],
        "Ed25519, a byte long": good + b"\0",
        "no bytes": b"",
    }


def _mixed(good: bytes) -> bytes:
    """A good key, and a point of order 8 added to it."""
    y = int.from_bytes(good, "little") & (_SIGN - 1)
    honest, small = point_at(y), point_at(_Y_OF_ORDER_8)
    if honest is None or small is None:
        raise ValueError("not a point")
    mixed = add(honest, small)
    inverse = pow(mixed.z, -1, _PRIME)
    x, y = mixed.x * inverse % _PRIME, mixed.y * inverse % _PRIME
    return (y | (x & 1) << 255).to_bytes(32, "little")


def _bad_p256(good: bytes) -> dict[str, bytes]:
    return {
        "P-256, not on the curve": flip(good, 64 * 8 + 7),
        "P-256, x beyond the prime": _point(_P256_PRIME, _P256_Y_OF_0),
        "P-256, all zero": b"\x04" + bytes(64),
        "P-256, all bits set": b"\x04" + b"\xff" * 64,
        "P-256, the point at infinity": b"\0",
        "P-256, infinity in 65 bytes": bytes(65),
        "P-256, compressed": bytes([2 + good[64] % 2]) + good[1:33],
        "P-256, hybrid": bytes([6 + good[64] % 2]) + good[1:],
        "P-256, without its first byte": good[1:],
    }


def _point(x: int, y: int) -> bytes:
    return b"\x04" + x.to_bytes(32, "big") + y.to_bytes(32, "big")
