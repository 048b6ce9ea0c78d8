"""The range of every time in a message: 1970-01-01 to 9999-12-31T00:00:00Z, in microseconds.

Within it a Timestamp is a whole number of microseconds that fits into 64 bits, and can be shown in
every time zone. A finer one would be another time to each reader who rounds it another way.
protobuf itself accepts any number on the wire and fails only where a time is used, so a message
from outside is checked where it comes in. The check walks the message's descriptor: a new field
cannot be forgotten.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

EARLIEST_S, LATEST_S = 0, 253_402_214_400
MAX_NANOS = 999_999_000
NANOS_PER_US = 1_000

_TIMESTAMP = Timestamp.DESCRIPTOR.full_name


class _Field(NamedTuple):
    """A field that is a time, or holds one at some depth."""

    name: str
    is_repeated: bool
    is_time: bool


def bad_time(message: Message) -> str:
    """The path of the first Timestamp that is none here, as "offer.valid_from_time"; or ""."""
    for name, is_repeated, is_time in _timed_fields(message.DESCRIPTOR):
        if is_repeated:
            values = getattr(message, name)
        elif message.HasField(name):
            values = (getattr(message, name),)
        else:
            continue
        for value in values:
            if not is_time:
                if within := bad_time(value):
                    return f"{name}.{within}"
            elif not is_in_range(value):
                return name
    return ""


def is_in_range(time: Timestamp) -> bool:
    """Whether a time is one that this house reckons with."""
    return (
        EARLIEST_S <= time.seconds <= LATEST_S
        and 0 <= time.nanos <= MAX_NANOS
        and time.nanos % NANOS_PER_US == 0
    )


@cache
def _timed_fields(kind: Descriptor) -> tuple[_Field, ...]:
    return tuple(
        _Field(field.name, field.is_repeated, inner.full_name == _TIMESTAMP)
        for field in kind.fields
        if (inner := field.message_type) is not None and _holds_time(inner, set())
    )


def _holds_time(kind: Descriptor, seen: set[str]) -> bool:
    if kind.full_name in seen:
        return False
    seen.add(kind.full_name)
    inner = (field.message_type for field in kind.fields if field.message_type is not None)
    return kind.full_name == _TIMESTAMP or any(_holds_time(each, seen) for each in inner)
