"""The status bytes of a receipt printer, told apart by their fixed bits (Epson ESC/POS reference).

0xx1xx10    answer to DLE EOT, at once
0xx0xxxx    answer to GS r, in its turn
0xx1xx00    first of four bytes of Automatic Status Back, which nobody asked for; the other
            three look like answers to GS r
37 ... 00   block of data, such as 37 25 00: the buffer was cleared
11, 13      XON, XOFF: flow control, anywhere
"""

from __future__ import annotations

from enum import StrEnum

ASK_OFFLINE, ASK_PAPER = b"\x10\x04\x02", b"\x10\x04\x04"

_FLOW_CONTROL = b"\x11\x13"
_BLOCK, _BLOCK_END = 0x37, 0x00
_REST_OF_UNASKED = 3
# Off-line cause, the answer to DLE EOT 2; and the paper sensor's, to DLE EOT 4.
_COVER_OPEN, _ERROR = 0x04, 0x40
_NO_PAPER = 0x60


class Trouble(StrEnum):
    """Why a printer that answers prints nothing, as people read it behind "the printer"."""

    NO_PAPER = "has no paper"
    COVER_OPEN = "is open"
    FAULT = "has a fault"


def trouble_of(offline: int, paper: int) -> Trouble | None:
    """The trouble that the answers to both questions tell; None if it can print."""
    if offline & _COVER_OPEN:
        return Trouble.COVER_OPEN
    if paper & _NO_PAPER:
        return Trouble.NO_PAPER
    return Trouble.FAULT if offline & _ERROR else None


class StatusReader:
    """Takes what a printer sends, byte by byte."""

    def __init__(self) -> None:
        # The newest answer to DLE EOT, and whether GS r was answered; who asks resets them.
        self.answer: int | None = None
        self.is_done = False
        self._unasked_left = 0
        self._is_in_block = False

    def take(self, byte: int) -> None:
        """Take a byte; what belongs to nothing is ignored."""
        if byte in _FLOW_CONTROL:
            return
        if self._is_in_block:
            self._is_in_block = byte != _BLOCK_END
        elif byte == _BLOCK:
            self._is_in_block = True
        elif byte & 0x93 == 0x12:
            self.answer = byte
        elif byte & 0x93 == 0x10:
            self._unasked_left = _REST_OF_UNASKED
        elif byte & 0x90 == 0:
            self._take_plain()

    def _take_plain(self) -> None:
        if self._unasked_left:
            self._unasked_left -= 1
        else:
            self.is_done = True
