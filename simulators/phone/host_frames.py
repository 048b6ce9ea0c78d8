"""The frames between a PN532 chip and its host on a serial line (NXP UM0701-02, section 6.2.1).

Used by `pn532_chip`. A frame is 00 FF, its length and the length's complement, the direction (D4 to
the chip, D5 to the host) with the data, and a checksum; lengths from 255 take the extended form.
"""

from __future__ import annotations

from collections.abc import Iterator

ACK = bytes.fromhex("0000ff00ff00")

_START = b"\x00\xff"
_EXTENDED = b"\xff\xff"
_TO_CHIP, _TO_HOST = 0xD4, 0xD5
_MAX_LINE_BYTES = 4096


class HostFrames:
    """Cuts what comes over the line into commands, and throws away what is none."""

    def __init__(self) -> None:
        self._line = b""

    def feed(self, received: bytes) -> Iterator[bytes]:
        """Take bytes from the line; give the commands that are now complete: code and data."""
        self._line = (self._line + received)[-_MAX_LINE_BYTES:]
        while (start := self._line.find(_START)) >= 0:
            header = self._line[start + 2 : start + 7]
            size = _size_of(header)
            if size is None:
                return
            body = start + 2 + (5 if header.startswith(_EXTENDED) else 2)
            if len(self._line) <= body + size:
                return
            command, checksum = self._line[body : body + size], self._line[body + size]
            is_good = size > 1 and not (sum(command) + checksum) & 0xFF and command[0] == _TO_CHIP
            # What is no command (an ACK, or torn) is passed over; a start may lie right behind it.
            self._line = self._line[body + size + 1 if is_good else start + 2 :]
            if is_good:
                yield command[1:]


def wrap(answer: bytes) -> bytes:
    """Frame an answer to the host: the code of the response and its data."""
    data = bytes([_TO_HOST]) + answer
    size = len(data)
    if size < 255:
        header = bytes([size, -size & 0xFF])
    else:
        header = _EXTENDED + size.to_bytes(2, "big") + bytes([-sum(divmod(size, 256)) & 0xFF])
    return b"\x00" + _START + header + data + bytes([-sum(data) & 0xFF, 0])


def _size_of(header: bytes) -> int | None:
    """Read the length of the data; 0 if the header is none, None if it is not complete yet."""
    if len(header) < 2:
        return None
    if header.startswith(_EXTENDED):
        if len(header) < 5:
            return None
        return 0 if sum(header[2:5]) & 0xFF else int.from_bytes(header[2:4], "big")
    return 0 if sum(header[:2]) & 0xFF else header[0]
