"""The BLE profile: what a terminal and a phone agree on before either has said a word.

As in ISO/IEC 18013-5, section 8.3.3.1.1 (mdoc peripheral server mode): the phone advertises a
service that the two know from elsewhere, here from a code on the terminal's display; messages go
through three characteristics, in fragments. Used by the terminal's radio (`edge_agents/links`) and
by phones; section 8.3.3.1.1.6 has the framing.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator

CODE_DIGITS = 4
MAX_MESSAGE_BYTES = 64 * 1024

# "KESSAI" in the first six bytes, version 1.
STATE = "4b455353-4149-4001-8000-000000000001"
CLIENT_TO_SERVER = "4b455353-4149-4001-8000-000000000002"
SERVER_TO_CLIENT = "4b455353-4149-4001-8000-000000000003"

# What is written to State, or notified by it.
START, END = b"\x01", b"\x02"

# The header of an ATT notification or write command, and the longest value (Core 5.4, Vol 3, F).
ATT_HEADER_BYTES = 3
MAX_VALUE_BYTES = 512

_SERVICES = uuid.UUID("4b455353-4149-4001-8000-000000000000")
_LAST, _MORE = b"\x00", b"\x01"


class FragmentError(Exception):
    """What came is no fragment of a message, or the message is longer than 64 KiB."""


def is_code(text: str) -> bool:
    """Tell whether this is a code as terminals show it: four digits."""
    return len(text) == CODE_DIGITS and text.isascii() and text.isdecimal()


def service_uuid(code: str) -> str:
    """Compute the service that a phone advertises whose user was given this code (RFC 9562 v5)."""
    return str(uuid.uuid5(_SERVICES, code))


def fragments(message: bytes, value_bytes: int) -> Iterator[bytes]:
    """Cut a message into values of at most so many bytes: 01 more to come, 00 the last."""
    size = min(value_bytes, MAX_VALUE_BYTES) - 1
    last = max(0, (len(message) - 1) // size * size)
    for start in range(0, last, size):
        yield _MORE + message[start : start + size]
    yield _LAST + message[last:]


class Reassembler:
    """Puts fragments together again."""

    def __init__(self) -> None:
        self._message = bytearray()

    def feed(self, fragment: bytes) -> bytes | None:
        """Take a fragment; the message if this was its last. FragmentError forgets what came."""
        self._message += fragment[1:]
        if fragment[:1] not in (_MORE, _LAST) or len(self._message) > MAX_MESSAGE_BYTES:
            self._message.clear()
            raise FragmentError("no fragment of a message of at most 64 KiB")
        if fragment[:1] == _MORE:
            return None
        message = bytes(self._message)
        self._message.clear()
        return message
