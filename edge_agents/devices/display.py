"""The customer display: two lines of twenty characters, ESC/POS as Epson's DM-D pole displays.

Bytes on the wire: `ESC @` resets, `ESC t 19` takes code page 858, `US $ x y` moves the cursor.
A text is written over the one before, without clearing, so that nothing flickers.
"""

from __future__ import annotations

import asyncio

import serial

from edge_agents.devices.glyphs import glyphs
from edge_agents.devices.serial_line import DeviceLost, open_line

COLUMNS = 20

_CODE_PAGE = "cp858"
_RESET = b"\x1b@\x1bt\x13\x0c"
_MOVE = b"\x1f$"


class Display:
    """A 2x20 display on a serial line."""

    name = "display"

    def __init__(self, path: str, baudrate: int = 9600) -> None:
        self._path, self._baudrate = path, baudrate
        self._line: serial.Serial | None = None

    def open(self) -> None:
        """Open the line and clear the display; Complaint if the device is missing."""
        self._line = open_line(self.name, self._path, self._baudrate, timeout_s=0)
        self._write(_RESET)

    def close(self) -> None:
        """Close the line, if it is open; the text stays."""
        if self._line is not None:
            self._line.close()
            self._line = None

    async def show(self, upper: str, lower: str) -> None:
        """Show two lines, cut to twenty characters each; DeviceLost if the device is gone."""
        await asyncio.to_thread(self._write, _at(1, upper) + _at(2, lower))

    def _write(self, data: bytes) -> None:
        if self._line is None:
            raise DeviceLost(self.name, "it is not open")
        try:
            self._line.write(data)
        except OSError as error:
            raise DeviceLost(self.name, error) from None


def _at(row: int, text: str) -> bytes:
    cell = glyphs(text, _CODE_PAGE)[:COLUMNS].ljust(COLUMNS)
    return _MOVE + bytes((1, row)) + cell.encode(_CODE_PAGE)
