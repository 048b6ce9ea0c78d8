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
from rich.panel import Panel
from rich.text import Text

from kessai.console import Table
from simulators.phone.screen import Screen
from simulators.phone.screen_view import draw as draw_phone

WIDE_COLUMNS = 132
MOVEMENTS_SHOWN = 7
STEPS_SHOWN = 10


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
    """Everything on show."""

    lines: list[Line] = field(default_factory=list)
    says: str = ""
    places: list[Callable[[], RenderableType]] = field(default_factory=list)
    phones: dict[str, Screen] = field(default_factory=dict)
    steps: deque[str] = field(default_factory=lambda: deque(maxlen=STEPS_SHOWN))
    movements: deque[Movement] = field(default_factory=lambda: deque(maxlen=MOVEMENTS_SHOWN))

    def begin(self, line: Line, says: str, *places: Callable[[], RenderableType]) -> None:
        """Clear the stage for a scene."""
        self.places, self.phones = list(places), {}
        self.steps.clear()
        self.says, line.is_playing = says, True

    def __rich_console__(
        self, console: rich.console.Console, options: ConsoleOptions
    ) -> RenderResult:
        """Draw the whole stage; the steps are left out where the terminal is too narrow."""
        yield self._draw_lines()
        yield Text(self.says, style="italic bright_black")
        yield Text()
        columns = Table.grid(padding=(0, 2))
        parts: list[RenderableType] = [place() for place in self.places]
        parts += [
            Group(Text(f"{name}'s phone".center(36), style="bold"), draw_phone(screen))
            for name, screen in list(self.phones.items())[-2:]
        ]
        if options.max_width >= WIDE_COLUMNS:
            parts.append(self._draw_steps())
        columns.add_row(*parts)
        yield columns
        yield draw_movements(list(self.movements))

    def _draw_lines(self) -> Table:
        table = Table.grid(padding=(0, 1))
        for line in self.lines:
            table.add_row(*line.draw())
        return table

    def _draw_steps(self) -> Panel:
        text = Text("\n".join(self.steps), style="bright_black", overflow="ellipsis", no_wrap=True)
        return Panel(text, title="steps", box=box.ROUNDED, width=34, height=STEPS_SHOWN + 2)


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
