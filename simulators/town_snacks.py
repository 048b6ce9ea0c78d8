"""The snack machine of the town: a vending machine behind its MDB adapter (row B3)."""

from __future__ import annotations

import os

from rich.console import RenderableType

from kessai.money import Money
from simulators.devices import vending_front
from simulators.devices.vending_machine import VendingMachine
from simulators.town import CURRENCY, Town
from simulators.town_place import Place

MERCHANT, NAME, CATEGORY = "snacks", "Kessai Snacks", "5814"
# What a customer pays without a PIN.
LIMIT = Money(500, CURRENCY)

WATER, CHOCOLATE = 7, 12

_READY_S = 60.0


class Snacks(Place):
    """One machine, with its cashless reader."""

    def __init__(self, town: Town) -> None:
        """Pair the reader, and switch the machine on."""
        super().__init__(town, "machine", town.pair_terminal(MERCHANT, "machine-1"))
        self.machine = VendingMachine(self.folder / "machine", os.urandom)
        self.devices.append(self.machine)

    def open(self) -> None:
        """Run the reader's agent, until the machine knows it."""
        self.start("vending", f"--machine={self.folder / 'machine'}")
        self.machine.wait_for(lambda: self.machine.state == "ready", _READY_S)

    def draw(self) -> RenderableType:
        """Draw the machine's front."""
        return vending_front.draw_front(self.machine)

    def price(self, number: int) -> int:
        """Tell a selection's price, minor units."""
        return self.machine.shelves[number].price_minor

    def select(self, number: int) -> None:
        """Press a selection's key, and wait until the machine asks for a phone."""
        self.expect("waiting_for_tap", after=lambda: self.machine.select(number))
