"""A gate as a person finds it: its barrier and its display, and who stands before them.

Used by `kessai simulate barrier`. What is typed is what people do, or what breaks.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rich.console import Group
from rich.text import Text

from kessai.console import Table
from simulators.devices.barrier import BarrierFault, SimulatedBarrier
from simulators.devices.display import SimulatedDisplay
from simulators.devices.live import Picture

_HELP = {
    "walk": "go through, if it is open",
    "crowd": "two at once",
    "climb": "over the barrier, though it is shut",
    "restart": "switch its board off and on",
    ", ".join(BarrierFault): "what is wrong with it",
    "unplug, plug": "the barrier's line",
    "quit": "",
}


class GateSpot:
    """The devices of one gate, in a folder; `on_change` is called when any of them changed."""

    def __init__(self, folder: Path, on_change: Callable[[], None] = lambda: None) -> None:
        self.barrier = SimulatedBarrier(folder / "barrier", on_change)
        self.display = SimulatedDisplay(folder / "display", on_change)

    def obey(self, typed: str) -> str:
        """Do what was typed; what comes back says what happened."""
        word = typed.strip().lower()
        if word in ("walk", "crowd"):
            passed = self.barrier.walk_through(2 if word == "crowd" else 1)
            return "Through." if passed else "It is shut."
        if word == "climb":
            self.barrier.climb_over()
            return "Over."
        if word == "restart":
            self.barrier.restart()
            return "Its board counts from 0."
        if word in ("plug", "unplug"):
            (self.barrier.line.plug if word == "plug" else self.barrier.line.unplug)()
            return f"The barrier is {word}ged."
        if word in list(BarrierFault):
            self.barrier.set_fault(BarrierFault(word))
            return f"Fault: {word}."
        return "" if not word else f'Nobody knows how to "{word}".'

    def draw(self, typed: str, said: str, rows: int) -> Picture:
        """Draw the gate, with what is being typed and what was said last."""
        table = Table.grid(padding=(0, 2))
        for words, does in _HELP.items():
            table.add_row(Text(words, style="cyan"), Text(does, style="dim"))
        prompt = Text.assemble(("> ", "bold cyan"), typed, "\n", (said, "dim"))
        return Picture(Group(self.display.draw(), self.barrier.draw(), prompt), table)

    def close(self) -> None:
        """Take the devices away."""
        self.barrier.close()
        self.display.close()
