"""A receipt printer: puts ESC/POS on a paper roll, and can run out of paper.

Real-time commands (DLE EOT) are answered at once; everything else in its turn, and only while there
is paper, as Epson's TM series does. What arrives without paper waits in the buffer.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from simulators.devices.escpos_reader import CODE_PAGES, Command, EscPosReader
from simulators.devices.paper_roll import COLUMNS, PaperRoll, Printed, PrintedLine, PrintedQr
from simulators.devices.pty_line import PtyLine

_LINE_FEED = 0x0A
_BOLD, _TALL, _WIDE = 0x08, 0x10, 0x20
_STATUS, _NO_PAPER = 0x12, 0x60


class SimulatedPrinter:
    """A printer on a pty at a path; `on_change` is called when something was printed."""

    def __init__(self, path: Path, on_change: Callable[[], None] = lambda: None) -> None:
        self._on_change = on_change
        self._reader = EscPosReader()
        self._changed = threading.Condition()
        self._lines_left: int | None = None
        self.roll = PaperRoll()
        self._reset()
        self.line = PtyLine(path, self._take)
        self.line.plug()

    @property
    def has_paper(self) -> bool:
        """Tell whether it can print."""
        return self._lines_left is None or self._lines_left > 0

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

    def _take(self, data: bytes) -> None:
        with self._changed:
            self._reader.feed(data)
            for command in self._reader.take_realtime():
                self._answer(command)
            while self.has_paper and (item := self._reader.next()) is not None:
                if isinstance(item, Command):
                    self._obey(item)
                else:
                    self._put(item)
            self._changed.notify_all()
        self._on_change()

    def _answer(self, command: Command) -> None:
        if command.name == b"\x10\x14":
            self._reader.clear()
            self._reset()
        else:
            asks_paper = command.arguments[0] == 4
            no_paper = asks_paper and not self.has_paper
            self.line.write(bytes([_STATUS | (_NO_PAPER if no_paper else 0)]))

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
        self.roll.hanging.append(item)
        if self._lines_left is not None:
            self._lines_left = max(0, self._lines_left - 1)
