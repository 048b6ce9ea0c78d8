"""Reads ESC/POS: cuts a stream of bytes into commands and text, however it is torn.

For the simulated display and printer. Knows the length of every command that they and python-escpos
use; a byte that begins no command is text.
"""

from __future__ import annotations

from dataclasses import dataclass

ESC, GS, US, DLE = 0x1B, 0x1D, 0x1F, 0x10
CODE_PAGES = {0: "cp437", 2: "cp850", 16: "cp1252", 19: "cp858"}

# First two bytes -> how many bytes of arguments follow.
_FIXED = {
    b"\x1b@": 0,
    b"\x1bt": 1,
    b"\x1bE": 1,
    b"\x1ba": 1,
    b"\x1b!": 1,
    b"\x1b-": 1,
    b"\x1b=": 1,
    b"\x1bM": 1,
    b"\x1bG": 1,
    b"\x1bd": 1,
    b"\x1bR": 1,
    b"\x1b2": 0,
    b"\x1b3": 1,
    b"\x1d!": 1,
    b"\x1dr": 1,
    b"\x1da": 1,
    b"\x1dB": 1,
    b"\x1f$": 2,
    b"\x10\x04": 1,
    b"\x10\x05": 1,
}
# Real-time commands, by their first bytes, and how long they are.
CLEAR_BUFFER = b"\x10\x14"
_REALTIME = {CLEAR_BUFFER + b"\x08": 10, b"\x10\x04": 3, b"\x10\x05": 3}


@dataclass(frozen=True, slots=True)
class Command:
    """A command: its two leading bytes, and its arguments."""

    name: bytes
    arguments: bytes


class EscPosReader:
    """Takes bytes and gives commands, text and control characters, one at a time."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """Take bytes."""
        self._buffer += data

    def next(self) -> Command | int | None:
        """Give the next command, or the next byte of text; None if more bytes are needed."""
        buffer = self._buffer
        if not buffer:
            return None
        if buffer[0] not in (ESC, GS, US, DLE):
            return buffer.pop(0)
        length = self._command_length()
        if length is None or len(buffer) < length:
            return None
        raw = bytes(buffer[:length])
        del buffer[:length]
        return Command(raw[:2], raw[2:])

    def take_realtime(self) -> list[Command]:
        """Take the real-time commands (DLE ...) out of the buffer, in order, before their turn.

        "Clear buffer" takes all with it that came before it.
        """
        found = []
        while (first := self._first_realtime()) is not None:
            start, length = first
            raw = bytes(self._buffer[start : start + length])
            clears = raw[:2] == CLEAR_BUFFER
            del self._buffer[0 if clears else start : start + length]
            found.append(Command(raw[:2], raw[2:]))
        return found

    def _first_realtime(self) -> tuple[int, int] | None:
        places = ((self._buffer.find(name), length) for name, length in _REALTIME.items())
        whole = [(at, length) for at, length in places if 0 <= at <= len(self._buffer) - length]
        return min(whole, default=None)

    def _command_length(self) -> int | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        name = bytes(buffer[:2])
        if name == b"\x1d(":  # GS ( k pL pH ...
            return 5 + buffer[3] + 256 * buffer[4] if len(buffer) >= 5 else None
        if name == b"\x1dV":  # GS V m [n]
            return None if len(buffer) < 3 else 4 if buffer[2] in (65, 66) else 3
        if name == b"\x10\x14":  # DLE DC4 8 ...
            return 10
        return 2 + _FIXED.get(name, 0)
