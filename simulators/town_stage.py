"""The stage of the town: the scenes as a list, what a person would see of the one that is played.

The place, the phones, the steps, and the ledger's movements, side by side. `town.py`, places and
scenes say what happens, from any thread; rich draws it when it likes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import rich.console
from rich import box
from rich.console import ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.panel import Panel
from rich.text import Text

from kessai.console import Table
from simulators.phone.screen import Screen
from simulators.phone.screen_view import draw as draw_phone

WIDE_COLUMNS, PHONE_COLUMNS = 132, 36
MOVEMENTS_SHOWN = 7
STEPS_SHOWN = 10

Draw = Callable[[], RenderableType]

_STEPS, _GAP = "steps", 2
# What a table of movements has beside its rows; a window in which a receipt fits; and no window.
_TABLE_ROWS, _HIGH_ROWS, _ENDLESS = 5, 38, 10_000


@dataclass(frozen=True, slots=True)
class Movement:
    """One entry of an account as the ledger wrote it; amounts are decimal text."""

    account: str
    what: str
    amount: str
    balance: str
    counterparty: str


@dataclass
class Line:
    """A scene's own line: its title, and what came of it once it was played."""

    title: str
    outcome: str = ""
    is_playing: bool = False

    def draw(self) -> tuple[Text, Text, Text]:
        """Draw it as a row: mark, title, outcome."""
        if self.outcome:
            return Text("✔", "green"), Text(self.title), Text(self.outcome, "green")
        if self.is_playing:
            return Text("▶", "bold yellow"), Text(self.title, "bold"), Text("")
        return Text("·", "bright_black"), Text(self.title, "bright_black"), Text("")


@dataclass
class Stage:
    """Everything on show; `rows` is how high the window is, 0 if it may be as high as it likes.

    In a small window the latest of phones and places are shown whole, and the others left out.
    """

    lines: list[Line] = field(default_factory=list)
    says: str = ""
    rows: int = 0
    places: list[Draw] = field(default_factory=list)
    phones: dict[str, Screen] = field(default_factory=dict)
    steps: deque[str] = field(default_factory=lambda: deque(maxlen=STEPS_SHOWN))
    movements: deque[Movement] = field(default_factory=lambda: deque(maxlen=MOVEMENTS_SHOWN))
    room_for_slips: bool = True
    _latest: list[Draw | str] = field(default_factory=list)

    def begin(self, line: Line, says: str, *places: Draw) -> None:
        """Clear the stage for a scene."""
        self.places, self.phones, self._latest = list(places), {}, []
        self.steps.clear()
        self.says, line.is_playing = says, True

    def show_phone(self, name: str, screen: Screen) -> None:
        """Show another page of somebody's phone."""
        self.phones[name] = screen
        self.hear(name, f"{name}'s phone: {screen.message or screen.view.value}")

    def hear(self, of: Draw | str, step: str) -> None:
        """Take note of a step at a place, or on the phone of that name."""
        self.steps.append(step)
        self._latest = [of, *(each for each in self._latest if each != of)]

    def __rich_console__(
        self, console: rich.console.Console, options: ConsoleOptions
    ) -> RenderResult:
        """Draw as much of the stage as the window has room for; nothing of it is cut."""
        parts = self._draw_parts(console, options)
        room = (self.rows or _ENDLESS) - _height(console, options, parts)
        for head in (self._draw_head(self.lines), self._draw_head(self._now_playing())):
            left = room - _height(console, options, head)
            if left >= 0:
                break
        yield head
        yield parts
        if self.movements and left > _TABLE_ROWS:
            yield draw_movements(list(self.movements)[_TABLE_ROWS - left :])

    def _now_playing(self) -> list[Line]:
        return [line for line in self.lines if line.is_playing and not line.outcome][-1:]

    def _draw_head(self, lines: list[Line]) -> RenderableType:
        table = Table.grid(padding=(0, 1))
        for line in lines:
            table.add_row(*line.draw())
        return Group(table, Text(self.says, style="italic bright_black"))

    def _draw_parts(self, console: rich.console.Console, options: ConsoleOptions) -> Table:
        """Draw places, phones and steps beside each other, the latest first where not all fit."""
        self.room_for_slips = options.max_width >= WIDE_COLUMNS and not 0 < self.rows < _HIGH_ROWS
        drawn: dict[Draw | str, RenderableType] = {place: place() for place in self.places}
        for name, screen in self.phones.items():
            heading = Text(f"{name}'s phone".center(PHONE_COLUMNS), style="bold")
            drawn[name] = Group(heading, draw_phone(screen))
        if self.steps:
            drawn[_STEPS] = self._draw_steps()
        left, kept = options.max_width, set[Draw | str]()
        for part in [*self._latest, *(each for each in drawn if each not in self._latest)]:
            if part in drawn:
                width = Measurement.get(console, options, drawn[part]).maximum + _GAP
                if width <= left + _GAP:
                    left -= width
                    kept.add(part)
        columns = Table.grid(padding=(0, _GAP))
        columns.add_row(*(drawing for part, drawing in drawn.items() if part in kept))
        return columns

    def _draw_steps(self) -> Panel:
        text = Text("\n".join(self.steps), style="bright_black", overflow="fold")
        return Panel(text, title="steps", box=box.ROUNDED, width=34)


def _height(console: rich.console.Console, options: ConsoleOptions, part: RenderableType) -> int:
    return len(console.render_lines(part, options.update(height=None), pad=False))


def draw_movements(movements: list[Movement]) -> Table:
    """Draw entries of the ledger as a table, oldest first."""
    table = Table(title="the ledger", title_justify="left", box=box.SIMPLE_HEAD, expand=False)
    table.add_column("account", style="bold")
    table.add_column("what")
    table.add_column("amount", justify="right")
    table.add_column("balance", justify="right")
    table.add_column("with", style="bright_black")
    for m in movements:
        colour = "red" if m.amount.startswith("-") else "green"
        table.add_row(m.account, m.what, Text(m.amount, colour), m.balance, m.counterparty)
    return table
