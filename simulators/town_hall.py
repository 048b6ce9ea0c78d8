"""The concert hall of the town: a ticket machine, and a door with no attendant (row B10)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from rich.console import Group, RenderableType

from simulators.devices.display import SimulatedDisplay
from simulators.devices.osdp_door import SimulatedDoor
from simulators.devices.printer import SimulatedPrinter
from simulators.devices.scanner import SimulatedScanner
from simulators.town import CURRENCY, Town
from simulators.town_place import Place
from simulators.town_processes import run

MERCHANT, NAME, CATEGORY = "town-hall", "Town Hall", "7922"
LIMIT = None

EVENT, PRICE = "concert", 2500
_KEY = bytes(range(16))


def put_on_sale(town: Town) -> None:
    """Put one ticket on sale, for a concert that is about to begin."""
    now = datetime.now(UTC)
    begin, end = now - timedelta(minutes=5), now + timedelta(hours=3)
    run("ticket", "offer", "add", "--data", str(town.data), MERCHANT, "adult", "--event", EVENT,
        "--event-name", "Spring Concert", "--title", "Adult", "--price", f"25.00 {CURRENCY}",
        "--from", f"{begin:%Y-%m-%dT%H:%M}", "--until", f"{end:%Y-%m-%dT%H:%M}")  # fmt: skip


class TicketMachine(Place):
    """A machine that sells tickets."""

    def __init__(self, town: Town) -> None:
        """Pair the machine, and put its devices on their lines."""
        super().__init__(town, "tickets", town.pair_terminal(MERCHANT, "box-office"))
        self.keys = SimulatedScanner(self.lines / "scanner")
        self.display = SimulatedDisplay(self.lines / "display")
        self.printer = SimulatedPrinter(self.lines / "printer")
        self.devices += [self.keys, self.display, self.printer]

    def open(self) -> None:
        """Run the machine, until it has something to sell."""
        lines = [f"--{name}={self.lines / name}" for name in ("scanner", "display", "printer")]
        self.start("ticket-machine", *lines)
        if not {"offers_taken", "offers_changed"} & set(self.told):
            self.expect("offers_taken", "offers_changed")

    def draw(self) -> RenderableType:
        """Draw the display."""
        return self.display.draw()

    def choose(self, key: str) -> None:
        """Choose the ticket under a key, and press PAY."""
        self.expect("ticket_chosen", after=lambda: self.keys.scan(key))
        self.expect("waiting_for_tap", after=lambda: self.keys.scan("%PAY"))


class Entrance(Place):
    """A door that lets ticket holders in."""

    def __init__(self, town: Town) -> None:
        """Pair the entrance, and hang the door in."""
        super().__init__(town, "door", town.pair_terminal(MERCHANT, "door-1"))
        self.door = SimulatedDoor(self.lines / "door", _KEY)
        (self.folder / "door.key").write_text(_KEY.hex())
        self.devices.append(self.door)

    def open(self) -> None:
        """Run the entrance, until its door answers."""
        self.start(
            "entrance",
            f"--for={EVENT}",
            f"--door={self.lines / 'door'}",
            f"--door-key={self.folder / 'door.key'}",
            "--unlock-seconds=2",
        )
        if "door_ready" not in self.told:
            self.expect("door_ready")

    def draw(self) -> RenderableType:
        """Draw the door."""
        return Group(self.door.draw())
