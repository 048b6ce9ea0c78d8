"""The railway of the town: two gates of a line, with barriers and displays (row B4)."""

from __future__ import annotations

from rich.console import Group, RenderableType

from kessai.money import Money
from simulators.devices.barrier import SimulatedBarrier
from simulators.devices.display import SimulatedDisplay
from simulators.town import CURRENCY, Town
from simulators.town_place import Place

MERCHANT, NAME, CATEGORY = "harbour-line", "Harbour Line", "4111"
LIMIT = Money(1000, CURRENCY)

# What the sample feed asks of an adult, from the harbour to the airport.
FARE = 320


class Gate(Place):
    """One gate: entry or exit, at a station of the sample feed."""

    def __init__(self, town: Town, direction: str, station: str) -> None:
        """Pair the gate, and put its barrier and display on their lines."""
        terminal = f"{station}-{direction}"
        super().__init__(town, f"{station} {direction}", town.pair_terminal(MERCHANT, terminal))
        self._direction, self._station = direction, station
        self.barrier = SimulatedBarrier(self.lines / "barrier")
        self.display = SimulatedDisplay(self.lines / "display")
        self.devices += [self.barrier, self.display]

    def open(self, *words: str) -> None:
        """Run the gate's agent."""
        self.start(
            "gate",
            f"--direction={self._direction}",
            f"--station={self._station}",
            f"--barrier={self.lines / 'barrier'}",
            f"--display={self.lines / 'display'}",
            *words,
        )
        self.display.wait_for("Tap to")

    def draw(self) -> RenderableType:
        """Draw barrier and display."""
        return Group(self.barrier.draw(), self.display.draw())
