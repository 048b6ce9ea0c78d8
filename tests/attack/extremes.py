"""Extreme values: copies of any message with one field each set to what nobody sends in earnest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

MANY = 300
_DEEPEST = 6

_INT32 = (0, 1, -1, 2**31 - 1, -(2**31))
_INT64 = (*_INT32, 2**63 - 1, -(2**63), 2**53 + 1)
_UINT32 = (0, 1, 2**32 - 1)
_UINT64 = (*_UINT32, 2**64 - 1)
_TEXTS = (
    "", " ", "x" * 5_000, "\0", "a\nb", "\x1b[2J", "[/]", "\u202eevil", "e\u0301",
    "../../etc/passwd", "'; DROP TABLE log; --", "-1", "9" * 40, "\U0010ffff",
)  # fmt: skip
_BYTES = (b"", b"\0", b"\xff" * 3, b"\xff" * 16, bytes(32), b"\x80" * 5_000)
_TIMES = (
    (0, 0), (-1, 0), (2**62, 0), (-(2**62), 0), (1, -1), (1, 2_000_000_000), (253402300800, 0),
    (2**63 - 1, 999_999_999), (4_102_444_800, 1),
)  # fmt: skip
_BY_TYPE: dict[int, Sequence[Any]] = {
    FieldDescriptor.CPPTYPE_INT32: _INT32,
    FieldDescriptor.CPPTYPE_INT64: _INT64,
    FieldDescriptor.CPPTYPE_UINT32: _UINT32,
    FieldDescriptor.CPPTYPE_UINT64: _UINT64,
    FieldDescriptor.CPPTYPE_ENUM: (0, 1, 99, -1, 2**31 - 1),
    FieldDescriptor.CPPTYPE_BOOL: (False, True),
    FieldDescriptor.CPPTYPE_DOUBLE: (0.0, float("nan"), float("inf"), -1e308),
    FieldDescriptor.CPPTYPE_FLOAT: (0.0, float("nan"), float("inf")),
}


def extremes(message: Message, depth: int = 0) -> Iterator[tuple[str, Message]]:
    """Copies of a message, each with one field changed, and the path of the field."""
    if isinstance(message, Timestamp):
        for seconds, nanos in _TIMES:
            yield f"={seconds}.{nanos}", Timestamp(seconds=seconds, nanos=nanos)
        return
    fields: Sequence[FieldDescriptor] = message.DESCRIPTOR.fields  # type: ignore[assignment]
    for field in fields:
        if depth < _DEEPEST:
            yield from _of_field(message, field, depth)


def _of_field(
    message: Message, field: FieldDescriptor, depth: int
) -> Iterator[tuple[str, Message]]:
    values: Iterator[tuple[str, Any]]
    if field.message_type is not None:
        values = _of_message(message, field, depth)
    else:
        values = ((f"={value!r:.30}", value) for value in _scalars(field))
    for said, value in values:
        changed = type(message)()
        changed.CopyFrom(message)
        changed.ClearField(field.name)
        if field.is_repeated:
            getattr(changed, field.name).extend(value if isinstance(value, list) else [value])
        elif field.message_type is not None:
            if value is not None:
                getattr(changed, field.name).CopyFrom(value)
        else:
            setattr(changed, field.name, value)
        yield f".{field.name}{said}", changed


def _of_message(message: Message, field: FieldDescriptor, depth: int) -> Iterator[tuple[str, Any]]:
    if field.is_repeated:
        present = list(getattr(message, field.name))
        inner = present[0] if present else getattr(type(message)(), field.name).add()
        yield "=[]", []
        yield f"=[{MANY}]", [inner] * MANY
    else:
        inner = type(getattr(message, field.name))()
        inner.CopyFrom(getattr(message, field.name))
        yield "=none", None
        yield "=empty", type(inner)()
    yield from extremes(inner, depth + 1)


def _scalars(field: FieldDescriptor) -> Sequence[Any]:
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return _BYTES if field.type == FieldDescriptor.TYPE_BYTES else _TEXTS
    return _BY_TYPE[field.cpp_type]
