"""A receipt printer: puts ESC/POS on a paper roll, and can run out of paper, be opened, or jam.

Real-time commands (DLE EOT, ENQ, DC4) are obeyed at once; everything else in its turn, and only
while it is on line, as Epson's TM series does. What arrives meanwhile waits in the buffer, and is
printed afterwards. Each change of its state is told unasked (Automatic Status Back), until `GS a 0`
and again after `ESC @`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from simulators.devices.escpos_reader import CLEAR_BUFFER, CODE_PAGES, Command, EscPosReader
from simulators.devices.paper_roll import COLUMNS, PaperRoll, Printed, PrintedLine, PrintedQr
from simulators.devices.pty_line import PtyLine

_LINE_FEED = 0x0A
_BOLD, _TALL, _WIDE = 0x08, 0x10, 0x20
_STATUS, _NO_PAPER = 0x12, 0x60
_COVER_OPEN, _PAPER_STOP, _ERROR, _CUTTER = 0x04, 0x20, 0x40, 0x08
_DRAWER, _OFFLINE = 0x04, 0x08
_CLEARED = b"\x37\x25\x00"
_RECOVER = b"\x10\x05"
# What is told unasked when it changes, by the bits of GS a: drawer, on line or not, fault, paper.
_ALL_UNASKED = 0x0F


class SimulatedPrinter:
    """A printer on a pty at a path; `on_change` is called when something was printed."""

    def __init__(self, path: Path, on_change: Callable[[], None] = lambda: None) -> None:
        self._on_change = on_change
        self._reader = EscPosReader()
        self._changed = threading.Condition()
        self._lines_left: int | None = None
        self._cover_open = self._drawer_open = self._is_jammed = self._has_fault = False
        # What is done to it at each line of text.
        self.on_text: Callable[[], None] = lambda: None
        self.roll = PaperRoll()
        self._reset()
        self._told = self._state()
        self.line = PtyLine(path, self._take)
        self.line.plug()

    @property
    def has_paper(self) -> bool:
        """Whether paper is in it."""
        return self._lines_left is None or self._lines_left > 0

    @property
    def is_online(self) -> bool:
        """Whether it prints what comes."""
        return self.has_paper and not self._cover_open and not self._has_fault

    def open_cover(self, is_open: bool = True) -> None:
        """Open its cover, or shut it: then what waits in the buffer is printed."""
        self._cover_open = is_open
        self._take(b"")

    def jam_cutter(self, is_jammed: bool = True) -> None:
        """Let the cutter get stuck, or free it; only DLE ENQ ends the fault then."""
        self._is_jammed, self._has_fault = is_jammed, is_jammed or self._has_fault
        self._take(b"")

    def open_drawer(self, is_open: bool = True) -> None:
        """Pull the cash drawer out, or push it in."""
        self._drawer_open = is_open
        self._take(b"")

    def put_paper(self) -> None:
        """Put a new roll in; what waits in the buffer is printed."""
        self._set_paper(None)

    def take_paper(self, after_lines: int = 0) -> None:
        """Let the paper end, now or after some more lines."""
        self._set_paper(after_lines)

    def wait_for_slips(self, count: int, timeout_s: float = 10.0) -> list[list[Printed]]:
        """Wait until so many slips were cut off, and give them; TimeoutError if they are not."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.roll.slips) >= count, timeout_s):
                raise TimeoutError(f"{len(self.roll.slips)} slips were printed, not {count}")
            return list(self.roll.slips)

    def close(self) -> None:
        """Take the printer away."""
        self.line.unplug()

    def _set_paper(self, lines_left: int | None) -> None:
        with self._changed:
            self._lines_left = lines_left
        self._take(b"")

    def _reset(self) -> None:
        self._text = ""
        self._bold = self._large = self._centred = False
        self._code_page = CODE_PAGES[0]
        self._qr_content = b""
        self._unasked = _ALL_UNASKED

    def _take(self, data: bytes) -> None:
        with self._changed:
            self._reader.feed(data)
            for command in self._reader.take_realtime():
                self._answer(command)
            self._tell_unasked()
            while self.is_online and (item := self._reader.next()) is not None:
                if isinstance(item, Command):
                    self._obey(item)
                else:
                    self._put(item)
                self._tell_unasked()
            self._changed.notify_all()
        self._on_change()

    def _answer(self, command: Command) -> None:
        if command.name == CLEAR_BUFFER:
            self._reset()
            self.line.write(_CLEARED)
        elif command.name == _RECOVER:
            self._has_fault = self._is_jammed
        else:
            self.line.write(bytes([_STATUS | self._status(command.arguments[0])]))

    def _status(self, question: int) -> int:
        """The answer's bits to DLE EOT: 1 printer, 2 off-line cause, 3 fault, 4 paper."""
        if question == 1:
            return 0 if self.is_online else _OFFLINE
        if question == 2:
            stops = 0 if self.has_paper else _PAPER_STOP
            return self._cover_open * _COVER_OPEN | stops | self._has_fault * _ERROR
        if question == 3:
            return self._has_fault * _CUTTER
        return 0 if self.has_paper else _NO_PAPER

    def _state(self) -> bytes:
        """The four bytes of Automatic Status Back."""
        first = 0x10 | self._drawer_open * _DRAWER | self._cover_open << 5
        first |= 0 if self.is_online else _OFFLINE
        return bytes([first, self._has_fault * _CUTTER, 0 if self.has_paper else 0x0F, 0x0F])

    def _tell_unasked(self) -> None:
        state = self._state()
        if state != self._told and self._unasked:
            self.line.write(state)
        self._told = state

    def _obey(self, command: Command) -> None:
        first = command.arguments[0] if command.arguments else 0
        match command.name:
            case b"\x1b@":
                self._reset()
            case b"\x1bt":
                self._code_page = CODE_PAGES.get(first, "cp437")
            case b"\x1bE":
                self._bold = bool(first & 1)
            case b"\x1ba":
                self._centred = first in (1, 49)
            case b"\x1b!":
                self._bold, self._large = bool(first & _BOLD), bool(first & (_TALL | _WIDE))
            case b"\x1da":
                self._unasked = first
            case b"\x1dr":
                self.line.write(b"\x00")
            case b"\x1dV":
                self.roll.cut()
            case b"\x1d(":
                self._obey_qr(command.arguments)

    def _obey_qr(self, arguments: bytes) -> None:
        """GS ( k pL pH cn fn ...: function 80 stores the content, 81 prints it."""
        function, data = arguments[4], arguments[6:]
        if function == 80:
            self._qr_content = data
        elif function == 81 and self._qr_content:
            self._print(PrintedQr(self._qr_content.decode("utf-8", "replace")))

    def _put(self, byte: int) -> None:
        if byte != _LINE_FEED:
            self._text += bytes([byte]).decode(self._code_page, "replace")
            return
        width = COLUMNS // 2 if self._large else COLUMNS
        text, self._text = self._text, ""
        for start in range(0, max(len(text), 1), width):
            part = text[start : start + width]
            self._print(PrintedLine(part, self._bold, self._large, self._centred))

    def _print(self, item: Printed) -> None:
        self.on_text()
        self.roll.hanging.append(item)
        if self._lines_left is not None:
            self._lines_left = max(0, self._lines_left - 1)
