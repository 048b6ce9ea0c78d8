"""A simulator's picture in a window, worked from the keyboard; what has no room is scrolled to."""

from __future__ import annotations

import contextlib
import os
import re
import select
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import rich.console
from rich.console import ConsoleOptions, RenderableType, RenderResult
from rich.live import Live
from rich.segment import Segment
from rich.text import Text

_DRAWINGS_A_SECOND = 5
_ENTER, _BACKSPACE, _END = "\r\n", "\x7f\b", "\x04"
_KEY = re.compile("\x1b\\[[0-9;]*[A-Za-z~]|.", re.DOTALL)
# Lines by which the arrows and the page keys move what is below.
_MOVES = {"\x1b[A": -1, "\x1b[B": 1, "\x1b[5~": -10, "\x1b[6~": 10}


@dataclass(frozen=True, slots=True)
class Picture:
    """What a window shows: `top` always, and of `below` as much as there is room for."""

    top: RenderableType
    below: RenderableType

    def __rich_console__(
        self, console: rich.console.Console, options: ConsoleOptions
    ) -> RenderResult:
        """All of it, where it is printed."""
        yield self.top
        yield self.below


@dataclass(slots=True)
class Scrolled:
    """A picture in a window, with the lines below from `first` on; `first` is kept in range."""

    picture: Picture
    first: int = 0

    def __rich_console__(
        self, console: rich.console.Console, options: ConsoleOptions
    ) -> RenderResult:
        """As many lines as the window is high."""
        whole = options.update(height=None)
        top = console.render_lines(self.picture.top, whole)
        below = console.render_lines(self.picture.below, whole)
        room = max(2, console.height - len(top))
        if len(below) <= room:
            self.first = 0
        else:
            self.first = max(0, min(self.first, len(below) - room + 1))
            last = self.first + room - 1
            says = (
                f"lines {self.first + 1} to {last} of {len(below)}: \u2191 \u2193 show the others"
            )
            note = console.render_lines(Text(says, "dim", no_wrap=True, overflow="crop"), whole)
            below = [*below[self.first : last], *note]
        for number, line in enumerate([*top, *below]):
            if number:
                yield Segment.line()
            yield from line


def run_live(draw: Callable[[str, str, int], Picture], obey: Callable[[str], str]) -> None:
    """Show a picture until "quit" or the end of the input; what is typed is obeyed at Enter.

    `draw` is given what is being typed, what was said last, and the window's rows.
    """
    typed, said, first = "", "", 0
    with _single_keys() as keyboard, Live(screen=True, auto_refresh=False) as live:
        while True:
            window = Scrolled(draw(typed, said, live.console.height), first)
            live.update(window, refresh=True)
            first = window.first
            if not select.select([keyboard], [], [], 1 / _DRAWINGS_A_SECOND)[0]:
                continue
            for key in _KEY.findall(os.read(keyboard, 256).decode(errors="replace")) or [_END]:
                if key == _END or (key in _ENTER and typed.strip() == "quit"):
                    return
                if key in _ENTER:
                    said, typed, first = obey(typed), "", 0
                elif key in _BACKSPACE:
                    typed = typed[:-1]
                elif key in _MOVES:
                    first += _MOVES[key]
                elif key.isprintable():
                    typed += key


@contextlib.contextmanager
def _single_keys() -> Iterator[int]:
    """Read the terminal key by key, without echo, and leave it as it was."""
    keyboard = sys.stdin.fileno()
    before = termios.tcgetattr(keyboard)
    tty.setcbreak(keyboard)
    try:
        yield keyboard
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)
