"""The receipt printer: ESC/POS on a serial line, 42 columns.

`encode` makes the bytes, with the few commands that a receipt needs, so that a terminal need not
load a whole printing library. The driver carries them and asks for the printer's state: `DLE EOT 4`
(answered at once) for the paper, and `GS r 1` (answered in its turn) to learn that all before it is
printed. The two answers differ in bit 4 (Epson ESC/POS reference, "Transmission status").
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import serial

from edge_agents.devices.serial_line import DeviceLost, FlowControl, open_line
from kessai.plain_text import plain

COLUMNS = 42

_CODE_PAGE = "cp858"
_INITIALIZE = b"\x1b@"
_USE_CODE_PAGE = b"\x1bt\x13"
_SIZE, _BOLD, _ALIGN = b"\x1b!", b"\x1bE", b"\x1ba"
_NORMAL, _LARGE = 0x00, 0x30
_FEED_AND_CUT = b"\x1bd\x06\x1dV\x00"
# The functions of GS ( k for QR codes, each with its number and its parameters.
_QR_MODEL_2, _QR_SIZE_4, _QR_LEVEL_L = b"A2\x00", b"C\x04", b"E0"
_QR_STORE, _QR_PRINT = b"P0", b"Q0"

_READ_S = 0.5
_STATUS_TRIES = 4
_PRINT_TRIES = 30
_CHUNK = 512

_ASK_PAPER = b"\x10\x04\x04"
_ASK_DONE = b"\x1dr\x01"
_CLEAR_BUFFER = b"\x10\x14\x08\x01\x03\x14\x01\x06\x02\x08"
_NO_PAPER = 0x60


@dataclass(frozen=True, slots=True)
class Text:
    """One line of text; a large one is twice as wide and high, so it holds 21 characters."""

    text: str
    bold: bool = False
    large: bool = False
    centred: bool = False


@dataclass(frozen=True, slots=True)
class QrCode:
    """A QR code, drawn by the printer, centred."""

    content: str


Element = Text | QrCode


class PaperOut(Exception):
    """The printer has no paper; what was to be printed is to be printed again in full."""


class Printer:
    """A receipt printer on a serial line."""

    name = "printer"

    def __init__(self, path: str, baudrate: int = 19200, flow: FlowControl = "none") -> None:
        self._path, self._baudrate, self._flow = path, baudrate, flow
        self._line: serial.Serial | None = None

    def open(self) -> None:
        """Open the line; Complaint if the device is missing."""
        self._line = open_line(self.name, self._path, self._baudrate, _READ_S, self._flow)

    def close(self) -> None:
        """Close the line, if it is open."""
        if self._line is not None:
            self._line.close()
            self._line = None

    async def has_paper(self) -> bool:
        """Ask for paper; DeviceLost if the printer does not answer."""
        return await asyncio.to_thread(self._has_paper)

    async def print(self, elements: Sequence[Element]) -> None:
        """Print and cut, and come back when it is on paper; PaperOut or DeviceLost if it is not."""
        await asyncio.to_thread(self._print, encode(elements))

    def _print(self, data: bytes) -> None:
        if not self._has_paper():
            raise PaperOut
        try:
            for start in range(0, len(data), _CHUNK):
                self._open_line().write(data[start : start + _CHUNK])
            self._open_line().write(_ASK_DONE)
            self._wait_until_printed()
        except OSError as error:
            raise DeviceLost(self.name, error) from None

    def _wait_until_printed(self) -> None:
        for _ in range(_PRINT_TRIES):
            if self._read_status(realtime=False) is not None:
                return
            if not self._has_paper():
                self._open_line().write(_CLEAR_BUFFER)
                self._has_paper()  # its answer says that the command before it was taken
                raise PaperOut
        raise DeviceLost(self.name, "it took the receipt and never finished it")

    def _has_paper(self) -> bool:
        try:
            for _ in range(_STATUS_TRIES):
                self._open_line().write(_ASK_PAPER)
                status = self._read_status(realtime=True)
                if status is not None:
                    return not status & _NO_PAPER
        except OSError as error:
            raise DeviceLost(self.name, error) from None
        raise DeviceLost(self.name, "it tells nothing about its paper")

    def _read_status(self, realtime: bool) -> int | None:
        """Read up to a status byte of the wanted kind; None if none comes in time."""
        while byte := self._open_line().read(1):
            if byte[0] & 0x93 == 0x12 and realtime:
                return byte[0]
            if byte[0] & 0x90 == 0 and not realtime:
                return byte[0]
        return None

    def _open_line(self) -> serial.Serial:
        if self._line is None:
            raise DeviceLost(self.name, "it is not open")
        return self._line


def encode(elements: Sequence[Element]) -> bytes:
    """Give the ESC/POS bytes that print the elements and cut the paper; "?" for what has no glyph.

    A QR code holds at most 2,953 bytes (ISO/IEC 18004, version 40-L).
    """
    parts = [_INITIALIZE, _USE_CODE_PAGE]
    for element in elements:
        parts.append(_qr(element) if isinstance(element, QrCode) else _line(element))
    return b"".join([*parts, _FEED_AND_CUT])


def _line(line: Text) -> bytes:
    # The size command ends bold print too, so it comes first.
    size = _SIZE + bytes([_LARGE if line.large else _NORMAL])
    style = size + _BOLD + bytes([line.bold]) + _ALIGN + bytes([line.centred])
    return style + plain(line.text).encode(_CODE_PAGE, "replace") + b"\n"


def _qr(code: QrCode) -> bytes:
    functions = (_QR_MODEL_2, _QR_SIZE_4, _QR_LEVEL_L, _QR_STORE + code.content.encode(), _QR_PRINT)
    return _ALIGN + b"\x01" + b"".join(_qr_function(function) for function in functions)


def _qr_function(function: bytes) -> bytes:
    return b"\x1d(k" + (len(function) + 1).to_bytes(2, "little") + b"1" + function
