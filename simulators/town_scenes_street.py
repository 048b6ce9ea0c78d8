"""The scenes of the street: a snack machine, a train ride, two friends."""

from __future__ import annotations

import threading

from kessai.complaint import Complaint
from simulators.phone.screen import View
from simulators.town import free_udp_port
from simulators.town_hall import NAME as HALL
from simulators.town_hall import PRICE as TICKET
from simulators.town_hall import Entrance, TicketMachine, put_on_sale
from simulators.town_processes import Process
from simulators.town_railway import FARE, Gate
from simulators.town_railway import NAME as RAILWAY
from simulators.town_scene import AGREE, APPROVE, PHONE_LIMIT_S, Scene, Visit, money
from simulators.town_snacks import CHOCOLATE, WATER, FleetServer, Snacks
from simulators.town_snacks import NAME as SNACKS

_WALK_LIMIT_S = 60.0


class Vending(Scene):
    """Row B3."""

    name = "vending"
    title = "At the snack machine, behind its fleet's server"
    says = "The server learns what is sold, and no account. A bar gets stuck: its money comes back."

    def set_up(self) -> None:
        """Run the fleet's server, and switch a machine on."""
        server, self.snacks = FleetServer(self.town), Snacks(self.town)
        self.places += [self.snacks, server]
        server.open()
        self.snacks.open(server.relay)

    def visits(self) -> list[Visit]:
        """Alice, twice."""
        return [("Alice", self.snacks, AGREE), ("Alice", self.snacks, AGREE)]

    def play(self) -> str:
        """Alice buys water; then a motor jams, and the hold is voided."""
        price = self.snacks.price(WATER)
        self.snacks.select(WATER)
        self.tap_until("settled", self.snacks)
        self.pay("Alice", SNACKS, price)
        self.pause(1.5)
        self.snacks.machine.jammed = True
        self.snacks.select(CHOCOLATE)
        self.tap_until("voided", self.snacks)
        self.pause(1.5)
        return f"{money(price)} EUR captured, 1 failed vend paid back by itself"


class Ride(Scene):
    """Row B4."""

    name = "ride"
    title = "A train ride: from the harbour to the airport"
    says = "The gate gives Alice's phone an admission; at the exit the fare is worked out and paid."

    def set_up(self) -> None:
        """Open an entry and an exit."""
        self.entry = Gate(self.town, "entry", "harbour")
        self.exit = Gate(self.town, "exit", "airport")
        self.places += [self.entry, self.exit]
        self.entry.open()
        self.exit.open()

    def visits(self) -> list[Visit]:
        """Alice at the entry, Bob at the exit, and Alice there."""
        rides = (*AGREE, "--stay", "8")
        return [
            ("Alice", self.entry, rides),
            ("Bob", self.exit, (*APPROVE, "--stay", "3")),
            ("Alice", self.exit, rides),
        ]

    def play(self) -> str:
        """Alice rides; Bob, who never entered, stays inside."""
        self._pass(self.entry)
        self.pause(1.0)
        refused = self.tap_until("refused", self.exit)
        if refused.get("reason") != "ADMISSION_MISSING":
            raise Complaint(f"Bob was refused for {refused.get('reason')}")
        self._pass(self.exit)
        self.pay("Alice", RAILWAY, FARE)
        self.pause(1.0)
        return f"{money(FARE)} EUR for the ride, 1 turned away without an admission"

    def _pass(self, gate: Gate) -> None:
        walker = threading.Thread(target=lambda: self._walk(gate), daemon=True)
        walker.start()
        self.tap_until("passed", gate)
        walker.join(_WALK_LIMIT_S)

    def _walk(self, gate: Gate) -> None:
        gate.barrier.wait_until_open(_WALK_LIMIT_S)
        gate.barrier.walk_through()


class Concert(Scene):
    """Row B10."""

    name = "concert"
    title = "A concert: a ticket from the machine, and a door with no attendant"
    says = (
        "The ticket comes to Alice's phone with the receipt. It opens the door once; Bob has none."
    )

    def set_up(self) -> None:
        """Put a ticket on sale, and open the machine and the door."""
        put_on_sale(self.town)
        self.machine, self.door = TicketMachine(self.town), Entrance(self.town)
        self.places += [self.machine, self.door]
        self.machine.open()
        self.door.open()

    def visits(self) -> list[Visit]:
        """Alice at the machine and twice at the door, and Bob there."""
        stays = ("--stay", "6")
        return [
            ("Alice", self.machine, (*APPROVE, *self.think(1.0))),
            ("Alice", self.door, stays),
            ("Alice", self.door, stays),
            ("Bob", self.door, stays),
        ]

    def play(self) -> str:
        """Alice buys a ticket and goes in; a second time, and without a ticket, nobody does."""
        self.machine.choose("1")
        self.tap_until("settled", self.machine)
        self.pay("Alice", HALL, TICKET)
        self.pause(1.5)
        self.tap_until("passed", self.door)
        self.require_phone("Alice", View.WELCOME)
        self.pause(1.0)
        for name, outcome in (("Alice", "turned_away"), ("Bob", "no_ticket")):
            self.tap_until(outcome, self.door)
            self.require_phone(name, View.TURNED_AWAY)
            self.pause(0.5)
        return f"{money(TICKET)} EUR for a ticket, 1 let in once, 2 turned away"


class Friends(Scene):
    """Row B5."""

    name = "friends"
    title = "Two friends: Alice's phone bills Bob's"
    says = "Bob sees who asks and what for, and signs; Alice submits it and learns the result."

    def set_up(self) -> None:
        """Nothing is needed but two phones."""
        self.field = f"udp:127.0.0.1:{free_udp_port()}"

    def visits(self) -> list[Visit]:
        """None: no place is needed."""
        return []

    def bring_phones(self) -> None:
        """Let both phones be switched on."""
        self.payer = self.town.phone(
            "Bob", "tap", "--field", self.field, *APPROVE, *self.think(1.0)
        )
        self.biller = self.town.phone(
            "Alice", "bill", "--field", self.field, "--for", "Lunch", "3.50 EUR"
        )

    def play(self) -> str:
        """Bob pays his share of a lunch."""
        amount, payer, biller = 350, self.payer, self.biller
        payer.cue()
        biller.cue()
        self._end(biller, "Alice")
        self._end(payer, "Bob")
        self.require_phone("Alice", View.RECEIVED)
        self.pay("Bob", "Alice", amount)
        self.pause(1.5)
        return f"{money(amount)} EUR from Bob to Alice"

    def _end(self, phone: Process, name: str) -> None:
        if phone.wait(PHONE_LIMIT_S) != 0:
            raise Complaint(f"{name}'s phone did not settle the bill")
