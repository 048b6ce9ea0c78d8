"""The snack machine of the town, behind its MDB adapter and its fleet's server."""

from __future__ import annotations

import os

from rich import box
from rich.console import RenderableType
from rich.panel import Panel
from rich.text import Text

from kessai.money import Money
from simulators.devices import vending_front
from simulators.devices.vending_machine import VendingMachine
from simulators.town import CURRENCY, Town
from simulators.town_place import Event, Place

MERCHANT, NAME, CATEGORY = "snacks", "Kessai Snacks", "5814"
# What a customer pays without a PIN.
LIMIT = Money(500, CURRENCY)

WATER, CHOCOLATE = 7, 12

FLEET = "nordic"

_READY_S = 60.0
_SHOWN, _WIDTH = 4, 46


class FleetServer(Place):
    """The server of the machines' fleet: it passes their calls on, and sees what they sell."""

    def __init__(self, town: Town) -> None:
        """Pair it."""
        super().__init__(town, "fleet's server", town.pair_relay(FLEET, MERCHANT))
        self.relay = ""

    def command(self, kind: str, *words: str) -> list[str]:
        """The words by which it is run; it has no reader."""
        return ["agent", kind, "--events", "--folder", str(self.folder), *words]

    def open(self) -> None:
        """Run it; `relay` is then what machines are told of it."""
        self.relay = f"{FLEET}@{self.start('relay', '--listen', '127.0.0.1:0')['listen']}"

    def draw(self) -> RenderableType:
        """Draw what it learned last."""
        sold = [event for event in self.events if event["event"] == "passed"][-_SHOWN:]
        text = "\n".join(map(_line, sold)) or "nothing sold yet"
        return Panel(Text(text), title="fleet's server", box=box.ROUNDED, width=_WIDTH)


class Snacks(Place):
    """One machine, with its cashless reader, which has a line to a fleet's server only."""

    def __init__(self, town: Town) -> None:
        """Pair the reader, and switch the machine on."""
        super().__init__(town, "machine", town.pair_terminal(MERCHANT, "machine-1"))
        self.machine = VendingMachine(self.folder / "machine", os.urandom)
        self.devices.append(self.machine)

    def open(self, relay: str) -> None:
        """Run the reader's agent behind a fleet's server, until the machine knows it."""
        shelves = self.machine.shelves.items()
        names = "".join(f"{number},{shelf.name}\n" for number, shelf in shelves)
        (self.folder / "items.csv").write_text(f"number,description\n{names}")
        config = self.folder / "vending.toml"
        config.write_text('items = "items.csv"\n')
        line = f"--machine={self.folder / 'machine'}"
        self.start("vending", f"--config={config}", line, "--relay", relay)
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


def _line(passed: Event) -> str:
    item = str(passed.get("items", "")).partition(" x ")[2]
    return f"{item or 'the same'}: {passed.get('outcome', '')}"
