"""Request ids: the idempotency key that a device makes, stores, and then sends (design rule 4).

A request id is a UUIDv7 (RFC 9562, section 5.7): 48 bits of milliseconds and 74 random bits. Its
time lets the switch refuse a *new* request under an old id, so that it can keep the promise "never
twice" over all shards while remembering only the newest ids (see `server/switch/claims.py`).
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable

_WRITTEN = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class RequestIdError(ValueError):
    """Not a UUIDv7."""


def new_request_id(now_ms: int, random_bytes: Callable[[int], bytes]) -> bytes:
    """Make the 16 bytes of a UUIDv7 from milliseconds since 1970 and a source of randomness."""
    value = (now_ms & (2**48 - 1)) << 80 | int.from_bytes(random_bytes(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return value.to_bytes(16, "big")


def check_request_id(raw: bytes) -> bytes:
    """Give the id back if it is the 16 bytes of a UUIDv7; RequestIdError otherwise."""
    if len(raw) != 16 or raw[6] >> 4 != 7 or raw[8] >> 6 != 2:
        raise RequestIdError("a request id is a UUIDv7")
    return raw


def time_of(request_id: bytes) -> int:
    """Tell when an id was made, in milliseconds since 1970 by its maker's clock."""
    return int.from_bytes(request_id[:6], "big")


def format_request_id(request_id: bytes) -> str:
    """Write it as text, 36 characters."""
    return str(uuid.UUID(bytes=request_id))


def parse_request_id(text: str) -> bytes:
    """Read the canonical text of a UUIDv7, lower case with hyphens; RequestIdError otherwise."""
    if _WRITTEN.fullmatch(text) is None:
        raise RequestIdError("a request id is a UUIDv7 in lower case, with hyphens")
    return check_request_id(bytes.fromhex(text.replace("-", "")))
