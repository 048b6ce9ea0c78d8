"""The form of a message on the wire: each field known, and said once unless it may be repeated.

protobuf reads what it does not know past, and of a field that comes twice takes the last one. So
two readers of the same bytes may see different messages: a document's envelope with a second
signature, a request with a field that one of them knows. Calls are held to one reading, at any
depth. The order of fields and the length of numbers are the sender's own: those change no meaning.
"""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED_LENGTH = {_FIXED64: 8, _FIXED32: 4}
# How each type is written; numbers that are not here, as varints.
_WRITTEN = {
    FieldDescriptor.TYPE_DOUBLE: _FIXED64,
    FieldDescriptor.TYPE_FIXED64: _FIXED64,
    FieldDescriptor.TYPE_SFIXED64: _FIXED64,
    FieldDescriptor.TYPE_FLOAT: _FIXED32,
    FieldDescriptor.TYPE_FIXED32: _FIXED32,
    FieldDescriptor.TYPE_SFIXED32: _FIXED32,
    FieldDescriptor.TYPE_STRING: _BYTES,
    FieldDescriptor.TYPE_BYTES: _BYTES,
    FieldDescriptor.TYPE_MESSAGE: _BYTES,
}
_MORE = 0x80


def odd_field(message: Message, raw: bytes) -> str:
    """The path of the first field that is not known or comes twice, as "bill.99"; "" if none does.

    `message` was parsed from `raw`; what it did not know is dropped from it.
    """
    message.DiscardUnknownFields()
    if message.SerializeToString(deterministic=True) == raw:
        return ""
    return _odd(message.DESCRIPTOR, raw)  # type: ignore[arg-type]


def _odd(kind: Descriptor, raw: bytes) -> str:
    seen: set[str] = set()
    for number, wire_type, value in _fields(raw):
        field = kind.fields_by_number.get(number)
        if field is None:
            return str(number)
        is_packed = field.is_repeated and wire_type == _BYTES
        if wire_type != _WRITTEN.get(field.type, _VARINT) and not is_packed:
            return field.name
        name = field.containing_oneof.name if field.containing_oneof else field.name
        if name in seen and not field.is_repeated:
            return field.name
        seen.add(name)
        if field.message_type is not None:
            within = _odd(field.message_type, value)
            if within:
                return f"{field.name}.{within}"
    return ""


def _fields(raw: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Number, wire type and bytes of each field, none for a number; protobuf has parsed them."""
    at = 0
    while at < len(raw):
        tag, at = _varint(raw, at)
        wire_type, length = tag & 7, 0
        if wire_type == _VARINT:
            _, at = _varint(raw, at)
        elif wire_type == _BYTES:
            length, at = _varint(raw, at)
        else:
            at += _FIXED_LENGTH.get(wire_type, 0)  # a group has none: it is no field's type here
        yield tag >> 3, wire_type, raw[at : at + length]
        at += length


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = raw[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & _MORE:
            return value, at
