"""Other encodings of the same protobuf: what parses alike and must still be refused.

Protobuf readers take fields in any order, the last of two, unknown fields and long varints. Each
function here makes one such encoding; `encodings` names them all.
"""

from __future__ import annotations

from google.protobuf.message import Message

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_UNKNOWN_FIELD = 1000


def encodings(document: Message) -> dict[str, bytes]:
    """Give the damaged encodings of a document by name, each different from the canonical one."""
    payload = document.SerializeToString(deterministic=True)
    fields = split(payload)
    found = {
        "fields in another order": b"".join([*fields[1:], fields[0]]),
        "a field twice": b"".join([fields[0], *fields]),
        "an unknown field": payload + varint(_UNKNOWN_FIELD << 3 | _VARINT) + b"\x01",
        "a tag as an overlong varint": bytes([fields[0][0] | 0x80, 0]) + payload[1:],
        "a length as an overlong varint": _long_length(payload),
        "a field with another wire type": varint(1 << 3 | _VARINT) + b"\x01" + payload,
        "the last byte cut off": payload[:-1],
        "a tag of field zero at the end": payload + b"\x00\x00",
    }
    nested = _unknown_in_nested(document, fields)
    if nested:
        found["an unknown field in a nested message"] = nested
    default = _with_default(document, payload)
    if default:
        found["a default value written out"] = default
    text = _text_field(document)
    if text:
        found["text that is not UTF-8"] = payload.replace(text, b"\xff" + text[1:], 1)
    return found


def split(payload: bytes) -> list[bytes]:
    """Split a message into its fields, tag included."""
    fields, start = [], 0
    while start < len(payload):
        tag, at = _read_varint(payload, start)
        if tag & 7 == _BYTES:
            length, at = _read_varint(payload, at)
            at += length
        elif tag & 7 == _VARINT:
            _, at = _read_varint(payload, at)
        else:
            at += {_FIXED64: 8, _FIXED32: 4}[tag & 7]
        fields.append(payload[start:at])
        start = at
    return fields


def varint(value: int) -> bytes:
    """Write a varint, as short as it can be."""
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _long_length(payload: bytes) -> bytes:
    """Write the length of the first field, which is bytes, with one byte too many."""
    return payload[:1] + bytes([payload[1] | 0x80, 0]) + payload[2:]


def _unknown_in_nested(document: Message, fields: list[bytes]) -> bytes | None:
    """Put an unknown field into the last message that the document holds, if it holds any."""
    messages = {field.number for field in document.DESCRIPTOR.fields if field.message_type}
    places = [n for n, part in enumerate(fields) if _field_number(part) in messages]
    if not places:
        return None
    last = fields[places[-1]]
    tag, at = _read_varint(last, 0)
    _, at = _read_varint(last, at)
    inner = last[at:] + varint(_UNKNOWN_FIELD << 3 | _VARINT) + b"\x01"
    changed = varint(tag) + varint(len(inner)) + inner
    return b"".join([*fields[: places[-1]], changed, *fields[places[-1] + 1 :]])


def _with_default(document: Message, payload: bytes) -> bytes | None:
    """Write out the first number or text that is not set, at its place."""
    present = {field.number for field, _ in document.ListFields()}
    for field in document.DESCRIPTOR.fields:
        if field.number in present or field.is_repeated or field.message_type:
            continue
        wire = _BYTES if field.type in (field.TYPE_STRING, field.TYPE_BYTES) else _VARINT
        parts = [*split(payload), varint(field.number << 3 | wire) + b"\x00"]
        parts.sort(key=_field_number)
        return b"".join(parts)
    return None


def _field_number(part: bytes) -> int:
    return _read_varint(part, 0)[0] >> 3


def _text_field(document: Message) -> bytes | None:
    for field, value in document.ListFields():
        if field.type == field.TYPE_STRING and not field.is_repeated:
            return str(value).encode()
    return None
