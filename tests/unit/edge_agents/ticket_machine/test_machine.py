"""The ticket machine's keys at every moment of a sale: what is taken, and what the display says."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edge_agents.counter.checkout import CheckoutParts
from edge_agents.devices.display import Display
from edge_agents.devices.printer import Printer
from edge_agents.display_board import DisplayBoard
from edge_agents.events import Events
from edge_agents.journal import Journal, PaymentState
from edge_agents.payment_request import RequestMaker
from edge_agents.receipt_desk import ReceiptDesk
from edge_agents.settlements import Outcome, Verdict
from edge_agents.ticket_line import TicketLine
from edge_agents.ticket_machine.machine import TicketMachine
from edge_agents.ticket_machine.screens import NO_LINE, NOTHING_ON_SALE
from edge_agents.ticket_machine.shelf import Shelf
from edge_agents.uplink import Uplink
from kessai.v1 import decline_pb2
from tests.unit.edge_agents.parties import make_receipt, make_terminal
from tests.unit.edge_agents.shop import Clock, Follower
from tests.unit.edge_agents.ticket_machine.offers import (
    HOUR_US,
    BoxOffice,
    make_offer,
    serve_offers,
)

REST_S = 60.0


class Hall:
    """A ticket machine, its keys pressed by the test; only the shelf has a loop of its own."""

    def __init__(self, folder: Path, shelf: Shelf, events: Events, clock: Clock) -> None:
        self.shelf, self.clock, self.journal = shelf, clock, Journal(folder)
        self._events = events
        self._board = DisplayBoard(Display(str(folder / "display")), events)
        self.begin()

    def begin(self, rest_s: float = REST_S) -> None:
        """Start it, for the first time or again on the same journal."""
        terminal, events, board = make_terminal(), self._events, self._board
        printer = Printer(str(self.journal), 9600)
        desk = ReceiptDesk(self.journal, printer, board, terminal.display_name, events)
        maker = RequestMaker(terminal, 60, self.clock, os.urandom)
        parts = CheckoutParts(
            terminal, self.journal, maker, board, desk, events, asyncio.Event(), self.clock
        )
        self.machine = TicketMachine(parts, self.shelf, rest_s)
        self.machine.start()

    def press(self, *keys: str) -> str:
        """Press keys; the first page that is shown then."""
        for key in keys:
            self.machine.on_line(key)
        return " ".join(self._board.pages[0])

    @property
    def pages(self) -> list[tuple[str, str]]:
        """What the display shows in turn."""
        return self._board.pages


@pytest.fixture
async def office() -> BoxOffice:
    return BoxOffice(make_offer("adult", 2500), make_offer("child", 1200, until_us=_until(2)))


@pytest.fixture
def told() -> Follower:
    return Follower()


@pytest.fixture
async def hall(tmp_path: Path, office: BoxOffice, told: Follower) -> AsyncIterator[Hall]:
    """A machine that has the offers."""
    clock = Clock()
    events = Events(clock, told)
    async with serve_offers(office) as channel:
        shelf = Shelf(tmp_path, TicketLine(Uplink(channel, bytes)), 0.05, events, clock)
        opened = Hall(tmp_path, shelf, events, clock)
        task = asyncio.create_task(shelf.run())
        await told.wait_for("offers_taken")
        yield opened
        task.cancel()
        await asyncio.wait([task])
        opened.journal.close()


def _until(hours: int) -> int:
    return Clock().now_us + hours * HOUR_US


async def test_choosing(hall: Hall) -> None:
    assert hall.press("1") == "1 Adult        25.00 Total EUR      25.00"
    assert hall.press("2", "x3") == "3 Child        36.00 Total EUR      61.00"
    assert hall.press("X0") == "No Child        0.00 Total EUR      25.00"
    assert "To pay EUR" in hall.press("%PAY")


async def test_no_key_changes_a_payment_under_way(hall: Hall, told: Follower) -> None:
    asked = hall.press("1", "%PAY")
    assert hall.press("2", "X5", "%PAY", "nonsense") == asked
    assert told.names().count("key_refused") == 4
    assert [e.pending.total.minor for e in hall.journal.in_state(PaymentState.REQUESTED)] == [2500]


async def test_the_line_is_down(hall: Hall, office: BoxOffice, told: Follower) -> None:
    """Nothing is chosen nor asked for; what is not known to be paid is still said."""
    hall.press("1", "%PAY")
    pending = hall.journal.in_state(PaymentState.REQUESTED)[0].pending
    hall.machine.on_authorized(pending)
    hall.machine.on_outcome(pending, Outcome(Verdict.UNKNOWN, why="no answer"))
    office.away = True
    await told.wait_for("offers_stale")
    assert hall.press("1").startswith("NOT YET PAID")
    hall.press("%CANCEL")
    hall.press("1")
    assert hall.pages == [NO_LINE]
    hall.press("%PAY")
    assert hall.pages == [NO_LINE]
    assert told.names().count("no_offers") == 2


async def test_nothing_is_on_sale(hall: Hall) -> None:
    hall.clock.now_us += 3 * HOUR_US
    hall.press("1")
    assert hall.pages == [NOTHING_ON_SALE]


async def test_what_was_chosen_is_over(hall: Hall, told: Follower) -> None:
    """It is taken back by itself when the offers are looked at again, or at PAY."""
    hall.press("1")
    hall.clock.now_us += HOUR_US
    assert hall.press("%PAY").startswith("TICKETS CHANGED")
    assert not hall.journal.in_state(PaymentState.REQUESTED)
    hall.press("1")  # the other one has moved up
    hall.clock.now_us += HOUR_US
    await told.wait_for("choice_gone", 2)
    assert hall.pages[0][0] == "TICKETS CHANGED"


@pytest.mark.parametrize("reason", ["TICKET_OFFER_UNKNOWN", "TICKET_ORDER_WRONG"])
async def test_the_switch_knows_other_offers(
    hall: Hall, office: BoxOffice, told: Follower, reason: str
) -> None:
    """They are fetched at once, and nothing is sold before."""
    hall.press("1", "%PAY")
    pending = hall.journal.in_state(PaymentState.REQUESTED)[0].pending
    hall.machine.on_authorized(pending)
    del office.offers[0]
    number = decline_pb2.DeclineReason.Value(f"DECLINE_REASON_{reason}")
    receipt = make_receipt(pending, number)
    hall.machine.on_outcome(pending, Outcome(Verdict.DECLINED, receipt))
    assert not hall.shelf.is_fresh
    await told.wait_for("choice_gone")
    assert hall.pages[0][0] == "TICKETS CHANGED"
    assert hall.press("1") == "1 Child        12.00 Total EUR      12.00"


async def test_a_restart_takes_the_sale_up(hall: Hall) -> None:
    """The same tickets are asked for, and can be asked for once more."""
    asked = hall.press("2", "X3", "1", "%PAY")
    former = hall.journal.in_state(PaymentState.REQUESTED)[0].pending
    hall.begin()
    assert hall.press("nonsense") == asked
    assert hall.machine.wanted_payment() == former
    hall.clock.now_us += 60_000_000
    assert hall.machine.wanted_payment() is None
    hall.press("%PAY")
    again = hall.journal.in_state(PaymentState.REQUESTED)[0].pending
    assert again.request.ticket_orders == former.request.ticket_orders
    assert again.request_id != former.request_id


async def test_the_next_customer_begins_anew(hall: Hall, told: Follower) -> None:
    hall.begin(rest_s=0.05)
    hall.press("1")
    await told.wait_for("sale_cleared")
    assert hall.pages[1][0].startswith("1 Adult")
    assert hall.press("%PAY").startswith("Nothing to pay")
