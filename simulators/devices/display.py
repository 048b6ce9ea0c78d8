"""A customer display: two lines of twenty green characters, as Epson's DM-D understands ESC/POS."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from rich import box
from rich.align import Align
from rich.panel import Panel
from rich.text import Text

from simulators.devices.escpos_reader import CODE_PAGES, Command, EscPosReader
from simulators.devices.pty_line import PtyLine

COLUMNS, ROWS = 20, 2

_CLEAR, _HOME, _LINE_FEED, _RETURN = 0x0C, 0x0B, 0x0A, 0x0D


class SimulatedDisplay:
    """A display on a pty at a path; `on_change` is called when the text has changed."""

    def __init__(self, path: Path, on_change: Callable[[], None] = lambda: None) -> None:
        self._on_change = on_change
        self._reader = EscPosReader()
        self._changed = threading.Condition()
        self._reset()
        self.line = PtyLine(path, self._take)
        self.line.plug()

    @property
    def lines(self) -> tuple[str, str]:
        """The text shown, two lines of twenty characters."""
        return "".join(self._cells[0]), "".join(self._cells[1])

    @property
    def text(self) -> str:
        """The text shown, in one line, without the blanks around it."""
        return " ".join(line.strip() for line in self.lines).strip()

    def wait_for(self, text: str, timeout_s: float = 10.0) -> None:
        """Wait until the display shows a text; TimeoutError with what it shows if it does not."""
        with self._changed:
            if not self._changed.wait_for(lambda: text in self.text, timeout_s):
                raise TimeoutError(f'the display shows "{self.text}" and not "{text}"')

    def wait_for_change(self, before: str, timeout_s: float) -> bool:
        """Wait until the display shows something else than this text; whether it did in time."""
        with self._changed:
            return self._changed.wait_for(lambda: self.text != before, timeout_s)

    def draw(self) -> Panel:
        """Draw it as the vacuum fluorescent tube that it is."""
        tube = Text("\n".join(self.lines), style="bold #5fffd7 on #001a14", no_wrap=True)
        return Panel(
            Align.center(tube), box=box.HEAVY, style="on #001a14", border_style="#3a3a3a", width=28
        )

    def close(self) -> None:
        """Take the display away."""
        self.line.unplug()

    def _reset(self) -> None:
        self._cells = [[" "] * COLUMNS for _ in range(ROWS)]
        self._column = self._row = 0
        self._code_page = CODE_PAGES[0]

    def _take(self, data: bytes) -> None:
        with self._changed:
            before = self.lines
            self._reader.feed(data)
            while (item := self._reader.next()) is not None:
                if isinstance(item, Command):
                    self._obey(item)
                else:
                    self._put(item)
            changed = self.lines != before
            self._changed.notify_all()
        if changed:
            self._on_change()

    def _obey(self, command: Command) -> None:
        if command.name == b"\x1b@":
            self._reset()
        elif command.name == b"\x1bt":
            self._code_page = CODE_PAGES.get(command.arguments[0], "cp437")
        elif command.name == b"\x1f$":
            x, y = command.arguments
            if 1 <= x <= COLUMNS and 1 <= y <= ROWS:
                self._column, self._row = x - 1, y - 1

    def _put(self, byte: int) -> None:
        if byte == _CLEAR:
            self._cells = [[" "] * COLUMNS for _ in range(ROWS)]
        if byte in (_CLEAR, _HOME):
            self._column = self._row = 0
        elif byte == _RETURN:
            self._column = 0
        elif byte == _LINE_FEED:
            self._row = (self._row + 1) % ROWS
        elif byte >= 0x20:
            self._cells[self._row][self._column] = bytes([byte]).decode(self._code_page, "replace")
            self._column += 1
            if self._column == COLUMNS:
                self._column, self._row = 0, (self._row + 1) % ROWS
