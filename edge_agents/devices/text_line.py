"""A device that talks in lines of text that end in CR or LF: a scanner, an MDB adapter.

The drivers beside it stand on it. What arrives is not trusted: lines are limited in length, and
bytes that are no ASCII are marked, so that nobody takes them for a code.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import serial

from edge_agents.devices.serial_line import DeviceLost, open_line

MAX_LINE_BYTES = 400
UNREADABLE = "\ufffd"


class LineAssembler:
    """Cuts a stream of bytes into lines; an overlong line becomes UNREADABLE."""

    def __init__(self) -> None:
        self._line = bytearray()
        self._overlong = False

    def feed(self, data: bytes) -> list[str]:
        """Take bytes, give the lines that they complete, without empty ones."""
        lines = []
        for byte in data:
            if byte not in b"\r\n":
                self._take(byte)
            elif self._line:
                lines.append(self._finish())
        return lines

    def _take(self, byte: int) -> None:
        if len(self._line) < MAX_LINE_BYTES:
            self._line.append(byte)
        else:
            self._overlong = True

    def _finish(self) -> str:
        line = UNREADABLE if self._overlong else self._line.decode("ascii", "replace")
        self._line.clear()
        self._overlong = False
        return line


class TextDevice:
    """A device on a serial line; one reader at a time."""

    name = "device"

    def __init__(self, path: str, baudrate: int = 9600) -> None:
        self._path, self._baudrate = path, baudrate
        self._line: serial.Serial | None = None

    def open(self) -> None:
        """Open the line; Complaint if the device is missing."""
        self._line = open_line(self.name, self._path, self._baudrate, timeout_s=0)

    def close(self) -> None:
        """Close the line, if it is open."""
        if self._line is not None:
            self._line.close()
            self._line = None

    async def lines(self) -> AsyncIterator[str]:
        """Give line after line, until DeviceLost."""
        line, loop, assembler = self._opened(), asyncio.get_running_loop(), LineAssembler()
        readable = asyncio.Event()
        descriptor = line.fileno()
        loop.add_reader(descriptor, readable.set)
        try:
            while True:
                await readable.wait()
                readable.clear()
                for text in assembler.feed(self._read(line)):
                    yield text
        finally:
            loop.remove_reader(descriptor)

    async def send(self, text: str) -> None:
        """Send a line; DeviceLost if the device is gone."""
        await asyncio.to_thread(self._write, text.encode("ascii", "replace") + b"\r\n")

    def _read(self, line: serial.Serial) -> bytes:
        try:
            data = line.read(4096)
        except OSError as error:
            raise DeviceLost(self.name, error) from None
        return data

    def _write(self, data: bytes) -> None:
        try:
            self._opened().write(data)
        except OSError as error:
            raise DeviceLost(self.name, error) from None

    def _opened(self) -> serial.Serial:
        if self._line is None:
            raise DeviceLost(self.name, "it is not open")
        return self._line
