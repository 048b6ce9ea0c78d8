"""The receipt printer: ESC/POS on a serial line, 42 columns.

`encode` makes the bytes, with the few commands that a receipt needs, so that a terminal need not
load a whole printing library. The driver carries them and asks for the printer's state: `DLE EOT 2`
and `DLE EOT 4` (answered at once) for cover, faults and paper, and `GS r 1` (answered in its turn)
to learn that all before it is printed. A slip switches the status off that nobody asked for
(`GS a 0`, after `ESC @`, which switches it on again). What was not printed is cleared from the
printer's buffer (`DLE DC4 8`) before anything else is sent: else a cover that is shut prints it
beside its repetition.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import serial

from edge_agents.devices.glyphs import glyphs
from edge_agents.devices.printer_status import (
    ASK_OFFLINE,
    ASK_PAPER,
    StatusReader,
    Trouble,
    trouble_of,
)
from edge_agents.devices.serial_line import DeviceLost, FlowControl, open_line

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
# It may say what nobody asked for, but not for longer.
_HEAR_S = 2.0
_STATUS_TRIES = 4
_PRINT_TRIES = 30
_CHUNK = 512

_SELECT_PRINTER, _NO_UNASKED_STATUS = b"\x1b=\x01", b"\x1da\x00"
_ASK_DONE = b"\x1dr\x01"
_CLEAR_BUFFER = b"\x10\x14\x08\x01\x03\x14\x01\x06\x02\x08"
_RECOVER = b"\x10\x05\x02"


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


class NotPrinted(Exception):
    """The printer is in trouble; what was to be printed is to be printed again in full."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(f"the printer {trouble}")
        self.trouble = trouble


class Printer:
    """A receipt printer on a serial line."""

    name = "printer"

    def __init__(self, path: str, baudrate: int = 19200, flow: FlowControl = "none") -> None:
        self._path, self._baudrate, self._flow = path, baudrate, flow
        self._line: serial.Serial | None = None
        self._status = StatusReader()
        # Whether something may wait in the printer that nobody wants any more.
        self._may_hold_some = True

    def open(self) -> None:
        """Open the line; Complaint if the device is missing."""
        self._line = open_line(self.name, self._path, self._baudrate, _READ_S, self._flow)
        self._status, self._may_hold_some = StatusReader(), True

    def close(self) -> None:
        """Close the line, if it is open."""
        if self._line is not None:
            self._line.close()
            self._line = None

    async def trouble(self) -> Trouble | None:
        """Why it could not print now; None if it can. DeviceLost if it does not answer."""
        return await asyncio.to_thread(self._trouble)

    async def print(self, elements: Sequence[Element]) -> None:
        """Print and cut, and come back when it is on paper; NotPrinted or DeviceLost if not."""
        await asyncio.to_thread(self._print, encode(elements))

    def _print(self, data: bytes) -> None:
        if self._may_hold_some:
            self._write(_CLEAR_BUFFER)
        if trouble := self._trouble():
            self._recover(trouble)
            raise NotPrinted(trouble)
        self._status.is_done, self._may_hold_some = False, True
        for start in range(0, len(data), _CHUNK):
            self._write(data[start : start + _CHUNK])
        self._write(_ASK_DONE)
        self._wait_until_printed()
        self._may_hold_some = False

    def _wait_until_printed(self) -> None:
        for _ in range(_PRINT_TRIES):
            if self._hears(lambda: self._status.is_done):
                return
            if trouble := self._trouble():
                self._write(_CLEAR_BUFFER)
                self._recover(trouble)
                self._trouble()  # its answer says that the commands before it were taken
            if self._status.is_done:
                return
            if trouble:
                raise NotPrinted(trouble)
        raise DeviceLost(self.name, "it took the receipt and never finished it")

    def _recover(self, trouble: Trouble) -> None:
        """Let it go on after a fault whose cause was removed."""
        if trouble is Trouble.FAULT:
            self._write(_RECOVER)

    def _trouble(self) -> Trouble | None:
        return trouble_of(self._ask(ASK_OFFLINE), self._ask(ASK_PAPER))

    def _ask(self, question: bytes) -> int:
        for _ in range(_STATUS_TRIES):
            self._status.answer = None
            self._write(question)
            self._hears(lambda: self._status.answer is not None)
            if self._status.answer is not None:
                return self._status.answer
        raise DeviceLost(self.name, "it tells nothing about its state")

    def _hears(self, holds: Callable[[], bool]) -> bool:
        """Read until something holds of its status; False if nothing comes any more."""
        deadline = time.monotonic() + _HEAR_S
        try:
            while not holds() and (byte := self._open_line().read(1)):
                self._status.take(byte[0])
                if time.monotonic() > deadline:
                    break
        except OSError as error:
            raise DeviceLost(self.name, error) from None
        return holds()

    def _write(self, data: bytes) -> None:
        try:
            self._open_line().write(data)
        except OSError as error:
            raise DeviceLost(self.name, error) from None

    def _open_line(self) -> serial.Serial:
        if self._line is None:
            raise DeviceLost(self.name, "it is not open")
        return self._line


def encode(elements: Sequence[Element]) -> bytes:
    """The ESC/POS bytes that print the elements and cut the paper; "?" for what has no glyph.

    A QR code holds at most 2,953 bytes (ISO/IEC 18004, version 40-L).
    """
    parts = [_SELECT_PRINTER, _INITIALIZE, _NO_UNASKED_STATUS, _USE_CODE_PAGE]
    for element in elements:
        parts.append(_qr(element) if isinstance(element, QrCode) else _line(element))
    return b"".join([*parts, _FEED_AND_CUT])


def _line(line: Text) -> bytes:
    # The size command ends bold print too, so it comes first.
    size = _SIZE + bytes([_LARGE if line.large else _NORMAL])
    style = size + _BOLD + bytes([line.bold]) + _ALIGN + bytes([line.centred])
    return style + glyphs(line.text, _CODE_PAGE).encode(_CODE_PAGE) + b"\n"


def _qr(code: QrCode) -> bytes:
    functions = (_QR_MODEL_2, _QR_SIZE_4, _QR_LEVEL_L, _QR_STORE + code.content.encode(), _QR_PRINT)
    return _ALIGN + b"\x01" + b"".join(_qr_function(function) for function in functions)


def _qr_function(function: bytes) -> bytes:
    return b"\x1d(k" + (len(function) + 1).to_bytes(2, "little") + b"1" + function
