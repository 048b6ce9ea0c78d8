"""The stage of the town: what a person would see of it, drawn side by side.

Register display, phone, receipt and the ledger's movements. `town.py` says what happens, from any
thread; rich draws it when it likes.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from simulators.devices.display import SimulatedDisplay
from simulators.devices.paper_roll import Printed, PrintedQr, draw_slip
from simulators.phone.screen import Screen
from simulators.phone.screen_view import draw as draw_phone

WIDE_COLUMNS = 124
MOVEMENTS_SHOWN = 7
SCANS_SHOWN = 6


@dataclass(frozen=True, slots=True)
class Movement:
    """One entry of an account as the ledger wrote it; amounts are decimal text."""

    account: str
    what: str
    amount: str
    balance: str
    counterparty: str


@dataclass
class Stage:
    """Everything on show."""

    display: SimulatedDisplay
    scene: str = ""
    says: str = ""
    scans: deque[str] = field(default_factory=lambda: deque(maxlen=SCANS_SHOWN))
    steps: deque[str] = field(default_factory=lambda: deque(maxlen=SCANS_SHOWN))
    phone_of: str = ""
    phone: Screen | None = None
    slip: list[Printed] | None = None
    movements: deque[Movement] = field(default_factory=lambda: deque(maxlen=MOVEMENTS_SHOWN))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the whole stage; the receipt is left out where the terminal is too narrow."""
        columns = Table.grid(padding=(0, 2))
        parts: list[RenderableType] = [self._draw_register(), self._draw_phone()]
        if options.max_width >= WIDE_COLUMNS and self.slip is not None:
            parts.append(draw_slip([item for item in self.slip if not isinstance(item, PrintedQr)]))
        columns.add_row(*parts)
        yield Text(self.scene, style="bold")
        yield Text(self.says, style="italic bright_black")
        yield Text()
        yield columns
        yield self._draw_ledger()

    def _draw_register(self) -> Group:
        scanned = Text("\n".join(self.scans), style="cyan")
        steps = Text("\n".join(self.steps), style="bright_black")
        return Group(
            self.display.draw(),
            Panel(scanned, title="scanner", box=box.ROUNDED, width=28, height=SCANS_SHOWN + 2),
            Panel(steps, title="register", box=box.ROUNDED, width=28, height=SCANS_SHOWN + 2),
        )

    def _draw_phone(self) -> Group:
        if self.phone is None:
            return Group(Text("\n\nno phone in the field", style="bright_black"))
        return Group(Text(f"{self.phone_of}'s phone".center(36), style="bold"),
                     draw_phone(self.phone))  # fmt: skip

    def _draw_ledger(self) -> Table:
        return draw_movements(list(self.movements))


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
        table.add_row(m.account, m.what, f"[{colour}]{m.amount}[/]", m.balance, m.counterparty)
    return table
