"""A venue in the shop's world: tickets on sale, and entrances with simulated doors and phones.

Real processes, as in `shop`: each entrance is `kessai agent entrance`, its door libosdp's reader or
the Modbus board of a turnstile.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TypeVar

from edge_agents.payment_request import RequestMaker
from edge_agents.terminal import open_terminal
from kessai.device_identity import load_identity
from kessai.money import Money
from kessai.ticket import format_ticket_id, ticket_id_of
from kessai.v1 import ticket_pb2 as pb
from kessai.v1.payment_pb2 import LineItem, SettlePaymentResponse
from kessai.v1.payment_pb2_grpc import PaymentServiceStub
from kessai.v1.ticket_pb2_grpc import TicketServiceStub
from simulators.devices.barrier import SimulatedBarrier
from simulators.devices.osdp_door import SimulatedDoor
from tests.pairing import pair_agent
from tests.running import CALL_LIMIT_S, fresh_id, kessai
from tests.scenarios.following import Followed
from tests.scenarios.shop import MERCHANT, Customer, Register, Shop, submission

KEY = bytes(range(16))
CONCERT, PRICE = "concert", 2500
_HOUR_US = 3_600_000_000


class EntranceAgent:
    """One entrance: its process, its door, and the field of its reader."""

    def __init__(self, folder: Path, reader: str) -> None:
        self.folder, self.reader = folder, reader
        self.line = folder / "lines" / "door"
        self.hang_in()
        self._running: Followed | None = None
        self._phones: list[Followed] = []

    def hang_in(self) -> None:
        """Hang the door in."""
        self.door = SimulatedDoor(self.line, KEY)
        (self.folder / "door.key").write_text(KEY.hex())

    @property
    def door_words(self) -> tuple[str, ...]:
        """How the agent is told of its door."""
        return ("--door-key", str(self.folder / "door.key"))

    @property
    def openings(self) -> int:
        """How often the door was opened."""
        return self.door.view.unlocked_times

    @property
    def steps(self) -> Followed:
        """The process, with what it tells."""
        assert self._running is not None
        return self._running

    def start(self, *words: str, event: str = CONCERT) -> None:
        """Run it, for the first time or again, until its door answers."""
        command = ["agent", "entrance", "--events", "--folder", str(self.folder)]
        command += ["--reader", self.reader, "--for", event, "--unlock-seconds", "2"]
        command += ["--door", str(self.line), *self.door_words, "--held-open-seconds", "2"]
        self._running = Followed([*command, *words], self.folder / "entrance.log", "event")
        self.steps.next("started")
        self.steps.next("door_ready")

    def tap(self, customer: Customer, *words: str) -> Followed:
        """Bring a phone into the field, as a process."""
        command = ["phone", "tap", "--events", "--folder", str(customer.folder)]
        log = customer.folder.with_name(f"{customer.name}.log")
        phone = Followed([*command, "--field", self.reader, *words], log, "view")
        self._phones.append(phone)
        return phone

    def let_in(self, customer: Customer, *words: str) -> None:
        """Let somebody in, from the tap to the shut door."""
        phone = self.tap(customer, *words)
        self.steps.next("passed")
        assert phone.next("welcome")
        assert phone.end() == 0

    def is_unsure_of(self, ticket_id: bytes) -> bool:
        """Tell whether it said, since it was started, that a ticket's holder may be in or not."""
        name = format_ticket_id(ticket_id)
        unsure = (step for step in self.steps.told if step["event"] == "entry_uncertain")
        return any(step["ticket"] == name for step in unsure)

    def turn_away(self, customer: Customer, *words: str) -> str:
        """See somebody turned away; why, as door and phone say."""
        openings = self.openings
        phone = self.tap(customer, *words)
        reason = str(self.steps.next("turned_away")["reason"])
        assert phone.next("turned-away")["reason"] == reason
        assert phone.end() == 3
        assert self.openings == openings
        return reason

    def send_phones_away(self) -> None:
        """Take every phone away."""
        for phone in self._phones:
            phone.kill()
        self._phones.clear()

    def kill(self) -> None:
        """End its process, and the phones', with SIGKILL."""
        self.send_phones_away()
        if self._running is not None:
            self._running.kill()

    def close(self) -> None:
        """Take everything away."""
        self.kill()
        self.door.close()


class TurnstileAgent(EntranceAgent):
    """An entrance whose door is a turnstile: the board that gates have."""

    def hang_in(self) -> None:
        """Put the turnstile up."""
        self.turnstile = SimulatedBarrier(self.line)

    @property
    def door_words(self) -> tuple[str, ...]:
        """How the agent is told of its door."""
        return ("--door-protocol", "modbus")

    @property
    def openings(self) -> int:
        """How often it was opened."""
        return self.turnstile.openings

    def close(self) -> None:
        """Take everything away."""
        self.kill()
        self.turnstile.close()


Agent = TypeVar("Agent", bound=EntranceAgent)


class Venue:
    """The shop as a venue that sells tickets and lets in."""

    def __init__(self, shop: Shop) -> None:
        """Put the usual ticket on sale."""
        self.shop = shop
        self.entrances: list[EntranceAgent] = []
        self._offered: set[str] = set()
        self._office: Register | None = None
        self.offer("adult")

    def offer(
        self,
        offer_id: str,
        event: str = CONCERT,
        admits: int = 1,
        hours: int = 0,
        seconds: int = 7200,
        value: int = 0,
    ) -> None:
        """Put a ticket on sale once, valid in so many hours, for two hours or less.

        With a value it is a gift certificate.
        """
        if offer_id in self._offered:
            return  # an offer never changes
        self._offered.add(offer_id)
        now_us = time.time_ns() // 1000
        terms = pb.TicketOffer(
            offer_id=offer_id, merchant_id=MERCHANT, event_id=event, event_name="Spring Concert",
            title=offer_id.title(), kind=pb.TICKET_KIND_ADMISSION, admits=admits,
        )  # fmt: skip
        terms.price.amount_minor, terms.price.currency_code = PRICE, "EUR"
        if value:
            terms.kind, terms.admits = pb.TICKET_KIND_GIFT_CERTIFICATE, 0
            terms.value.amount_minor, terms.value.currency_code = value, "EUR"
        terms.valid_from_time.FromMicroseconds(now_us + hours * _HOUR_US - 60_000_000)
        terms.valid_until_time.FromMicroseconds(now_us + hours * _HOUR_US + seconds * 1_000_000)
        request = pb.CreateTicketOfferRequest(request_id=fresh_id(), offer=terms)
        with self.shop.switch.channel() as channel:
            TicketServiceStub(channel).CreateTicketOffer(request, timeout=CALL_LIMIT_S)

    def entrance(self, terminal: str, reader: str) -> EntranceAgent:
        """Pair an entrance with an OSDP door; it is not started yet."""
        return self._hang_in(EntranceAgent, terminal, reader)

    def turnstile(self, terminal: str, reader: str) -> TurnstileAgent:
        """Pair an entrance with a turnstile; it is not started yet."""
        return self._hang_in(TurnstileAgent, terminal, reader)

    def ticket_machine(self, terminal: str, reader: str = "", *words: str) -> Register:
        """Pair a ticket machine, and start it until it has the offers."""
        machine = self.shop.register(terminal, reader, "ticket-machine")
        machine.start("--refresh-seconds", "1", *words, cold=True)
        machine.steps.next("offers_taken")
        return machine

    def tickets_on(self, customer: Customer) -> int:
        """Count the tickets on a phone."""
        listed = kessai("phone", "tickets", "--folder", str(customer.folder)).stdout
        return listed.count("Spring Concert")

    def sell(self, customer: Customer, offer_id: str = "adult", count: int = 1) -> bytes:
        """Sell tickets at the venue's office, onto the phone; the first one's id."""
        if self._office is None:
            self._office = self.shop.register("office")
        identity = load_identity(self._office.folder)
        terminal = open_terminal(self._office.folder, identity)
        maker = RequestMaker(terminal, 60, lambda: time.time_ns() // 1000, os.urandom)
        item = LineItem(description="Ticket", quantity=count, unit_price_minor=PRICE)
        orders = [pb.TicketOrder(offer_id=offer_id, count=count)]
        total = Money(count * PRICE, "EUR")
        pending = maker.make(f"o-{time.time_ns()}"[:40], [item], total, ticket_orders=orders)
        sealed = customer.authorize(pending, terminal)
        with self.shop.switch.channel(identity) as channel:
            stub = PaymentServiceStub(channel)
            answer: SettlePaymentResponse = stub.SettlePayment(
                submission(pending, sealed), timeout=CALL_LIMIT_S
            )
        assert len(answer.tickets) == count, self.shop.receipt(answer.receipt)
        customer.keep_tickets(list(answer.tickets), pending.request_id)
        return ticket_id_of(pending.request_id, 0)

    def standing(self, ticket_id: bytes) -> pb.TicketState:
        """Ask the switch how a ticket stands."""
        with self.shop.switch.channel() as channel:
            request = pb.GetTicketRequest(ticket_id=ticket_id)
            return TicketServiceStub(channel).GetTicket(request, timeout=CALL_LIMIT_S).state

    def wait_until_told(self, ticket_id: bytes, persons: int) -> None:
        """Wait until the switch has booked so many persons in."""
        deadline = time.monotonic() + 30
        while self.standing(ticket_id).persons_in != persons:
            assert time.monotonic() < deadline, self.standing(ticket_id)
            time.sleep(0.05)

    def close(self) -> None:
        """Stop every entrance."""
        for entrance in self.entrances:
            entrance.close()

    def _hang_in(self, kind: type[Agent], terminal: str, reader: str) -> Agent:
        folder = self.shop.folder / terminal
        uri = self.shop.switch.pair_terminal(MERCHANT, terminal)
        pair_agent(folder, uri)
        entrance = kind(folder, reader)
        self.entrances.append(entrance)
        return entrance
