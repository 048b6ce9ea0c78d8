"""Public keys as they come in: raw bytes that are read one way only, of a key that is sound.

Who enrols with an Ed25519 key of small order lets anybody sign for him: there are signatures that
verify under it for every message. And a key that has two encodings has two names. So a key comes in
by this one door, at enrolment, in documents, in credentials and in certificates:

    Ed25519   32 bytes: y < 2^255 - 19, a point of the curve, of prime order
    P-256     65 bytes: 04, x, y; both below the field's prime, a point of the curve
    X25519    32 bytes: u < 2^255 - 19, none of small order; the sealing key only

P-256 has no points of small order but the one at infinity, which has no such form. An Ed25519 key
with a part of small order is refused, too: some verifiers take signatures of it that others refuse.
"""

from __future__ import annotations

from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from kessai.ed25519_point import PRIME, is_of_prime_order, point_at

ED25519_BYTES, P256_BYTES, X25519_BYTES = 32, 65, 32

_Y_BITS = 2**255 - 1
# The y of the points whose order divides 8, and the u of those of X25519 and of its twist.
_Y_OF_ORDER_8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_SMALL_Y = {0, 1, PRIME - 1, _Y_OF_ORDER_8, PRIME - _Y_OF_ORDER_8}
_U_OF_ORDER_8 = (
    0x00B8495F16056286FDB1329CEB8D09DA6AC49FF1FAE35616AEB8413B7C7AEBE0,
    0x57119FD0DD4E22D8868E1C58C45C44045BEF839C55B1D0B1248C50A3BC959C5F,
)
_SMALL_U = {0, 1, PRIME - 1, *_U_OF_ORDER_8}
_UNCOMPRESSED = 4
_CACHED = 4096


class KeyRefused(ValueError):
    """The bytes are no public key that may be used; the message says why."""


@lru_cache(_CACHED)
def load_key(raw: bytes) -> Ed25519PublicKey | ec.EllipticCurvePublicKey:
    """Read a raw public key by its length; KeyRefused."""
    if len(raw) == ED25519_BYTES:
        _check_ed25519(int.from_bytes(raw, "little") & _Y_BITS)
        return Ed25519PublicKey.from_public_bytes(raw)
    if len(raw) == P256_BYTES and raw[0] == _UNCOMPRESSED:
        try:
            return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), raw)
        except ValueError:
            raise KeyRefused("not a point of P-256") from None
    raise KeyRefused("neither an Ed25519 key nor a P-256 point")


def load_switch_key(raw: bytes) -> Ed25519PublicKey:
    """Read the raw Ed25519 key that the switch signs with; KeyRefused."""
    key = load_key(raw)
    if not isinstance(key, Ed25519PublicKey):
        raise KeyRefused("the switch signs with Ed25519")
    return key


def load_sealing_key(raw: bytes) -> X25519PublicKey:
    """Read the raw X25519 key that documents are sealed to; KeyRefused."""
    u = int.from_bytes(raw, "little")
    if len(raw) != X25519_BYTES or u >= PRIME:
        raise KeyRefused("not an X25519 key in its one form")
    if u in _SMALL_U:
        raise KeyRefused("an X25519 key of small order")
    return X25519PublicKey.from_public_bytes(raw)


def _check_ed25519(y: int) -> None:
    if y >= PRIME:
        raise KeyRefused("an Ed25519 key that is not in its one form")
    if y in _SMALL_Y:
        raise KeyRefused("an Ed25519 key of small order: anybody could sign for it")
    point = point_at(y)
    if point is None:
        raise KeyRefused("not a point of Ed25519's curve")
    if not is_of_prime_order(point):
        raise KeyRefused("an Ed25519 key with a part of small order")
