"""A shop's counter: scanner, customer display and receipt printer of one register, and a cashier.

Used by `kessai simulate register`. What the cashier types is a bar code, a key of the command
sheet, or something that is done to a device.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rich import box
from rich.columns import Columns
from rich.console import Group
from rich.panel import Panel
from rich.text import Text

from kessai.console import Table
from simulators.devices.display import SimulatedDisplay
from simulators.devices.live import Picture
from simulators.devices.paper_roll import Printed, PrintedLine, PrintedQr, draw_slip, height_of
from simulators.devices.printer import SimulatedPrinter
from simulators.devices.pty_line import NobodyListens
from simulators.devices.scanner import SimulatedScanner

KEYS = {"pay": "%PAY", "cancel": "%CANCEL", "remove": "%REMOVE", "reprint": "%REPRINT"}

_HELP = {
    "4006381333931": "scan a bar code",
    "1, x3": "a ticket machine: offer 1, three of it",
    "pay, cancel": "the cashier's keys",
    "remove, reprint": "",
    "paper": "take the paper out, or put it in",
    "cover, cutter": "the printer's: open or shut; jam or free",
    "unplug display": "and scanner, printer",
    "plug display": "",
    "quit": "",
}
_WIDTH = 44
# Display, cashier, and the note under what is scrolled.
_TOP_ROWS = 9
_DRIVER_TIMEOUT_S = 1.0


class Counter:
    """The devices of one register, in a folder; `on_change` is called when any of them changed."""

    def __init__(self, folder: Path, on_change: Callable[[], None] = lambda: None) -> None:
        self.scanner = SimulatedScanner(folder / "scanner", _DRIVER_TIMEOUT_S)
        self.display = SimulatedDisplay(folder / "display", on_change)
        self.printer = SimulatedPrinter(folder / "printer", on_change)
        self._is_open = self._is_jammed = False
        self._lines = {
            "scanner": self.scanner.line,
            "display": self.display.line,
            "printer": self.printer.line,
        }

    def obey(self, typed: str) -> str:
        """Do what the cashier typed; what comes back says what happened."""
        word, _, rest = typed.strip().partition(" ")
        if not word:
            return ""
        if word == "paper":
            return self._change_paper()
        if word in ("cover", "cutter"):
            return self._handle_printer(word)
        if word in ("plug", "unplug"):
            return self._plug(word, rest.strip())
        code = KEYS.get(word.lower(), typed.strip())
        try:
            self.scanner.scan(code)
        except NobodyListens:
            return "No register has opened the scanner."
        return f"Scanned {code}"

    def newest_slip(self) -> list[Printed]:
        """Give what hangs out of the printer, or else the slip that was cut off last."""
        roll = self.printer.roll
        return list(roll.hanging) or (roll.slips[-1] if roll.slips else [])

    def draw(self, typed: str, said: str, rows: int) -> Picture:
        """Draw the counter, with what is being typed and what was said last.

        A QR code that does not fit into so many rows is left out, because half of one is of no use.
        """
        paper = Text("paper: in" if self.printer.has_paper else "paper: OUT", style="dim")
        cashier = Text.assemble(("> ", "bold cyan"), typed, ("▏", "blink"), "\n", (said, "dim"))
        top = Group(
            self.display.draw(), Panel(cashier, title="cashier", box=box.ROUNDED, width=_WIDTH)
        )
        slip = self.newest_slip()
        if any(height_of([item]) > rows - _TOP_ROWS for item in slip):
            note = PrintedLine("(QR code: make the window higher)", centred=True)
            slip = [note if isinstance(item, PrintedQr) else item for item in slip]
        keys = Group(_draw_help(), paper)
        return Picture(top, Columns([draw_slip(slip), keys] if slip else [keys], padding=(0, 2)))

    def close(self) -> None:
        """Take all devices away."""
        for line in self._lines.values():
            line.unplug()

    def _change_paper(self) -> str:
        if self.printer.has_paper:
            self.printer.take_paper()
            return "The printer has no paper."
        self.printer.put_paper()
        return "The printer has paper."

    def _handle_printer(self, part: str) -> str:
        if part == "cover":
            self._is_open = not self._is_open
            self.printer.open_cover(self._is_open)
            return f"The printer is {'open' if self._is_open else 'shut'}."
        self._is_jammed = not self._is_jammed
        self.printer.jam_cutter(self._is_jammed)
        return f"The printer's cutter is {'jammed' if self._is_jammed else 'free'}."

    def _plug(self, word: str, device: str) -> str:
        line = self._lines.get(device)
        if line is None:
            return f"There is no {device or 'such device'}: scanner, display, printer."
        if word == "plug":
            line.plug()
        else:
            line.unplug()
        return f"The {device} is {word}ged{' in' if word == 'plug' else ''}."


def _draw_help() -> Table:
    table = Table.grid(padding=(0, 2))
    for typed, does in _HELP.items():
        table.add_row(Text(typed, style="cyan"), Text(does, style="dim"))
    return table
