"""Points of Ed25519's curve, as far as a key must be looked at: whether it is of prime order.

A point is (X, Y, Z, T) with x = X/Z, y = Y/Z, xy = T/Z (RFC 8032, section 5.1.4). Nothing here is
secret, so nothing need take equal times.
"""

from __future__ import annotations

from typing import NamedTuple

PRIME = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, PRIME) % PRIME
_ROOT_OF_MINUS_1 = pow(2, (PRIME - 1) // 4, PRIME)


class Point(NamedTuple):
    """A point in extended coordinates."""

    x: int
    y: int
    z: int
    t: int


def point_at(y: int) -> Point | None:
    """One of the two points at a y below the prime; None if there is none."""
    u, v = (y * y - 1) % PRIME, (D * y * y + 1) % PRIME
    x = u * pow(v, 3, PRIME) * pow(u * pow(v, 7, PRIME), (PRIME - 5) // 8, PRIME) % PRIME
    if (v * x * x - u) % PRIME:
        x = x * _ROOT_OF_MINUS_1 % PRIME
    return None if (v * x * x - u) % PRIME else Point(x, y, 1, x * y % PRIME)


def add(p: Point, q: Point) -> Point:
    """The sum of two points, equal ones too."""
    a, b = (p.y - p.x) * (q.y - q.x), (p.y + p.x) * (q.y + q.x)
    c, d = 2 * D * p.t * q.t, 2 * p.z * q.z
    e, f, g, h = (b - a) % PRIME, (d - c) % PRIME, (d + c) % PRIME, (b + a) % PRIME
    return Point(e * f % PRIME, g * h % PRIME, f * g % PRIME, e * h % PRIME)


def is_of_prime_order(point: Point) -> bool:
    """Whether a point lies in the group that keys come from, with no part of small order."""
    product = point
    for bit in bin(ORDER)[3:]:
        product = add(product, product)
        if bit == "1":
            product = add(product, point)
    return product.x == 0 and product.y == product.z
