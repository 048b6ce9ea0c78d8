"""A shop for the tests of the register: a till on ptys, its switch, its clock and its events."""

from __future__ import annotations

import asyncio
import io
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import edge_agents.register
from edge_agents.counter.till import Surroundings, Till
from edge_agents.devices.display import Display
from edge_agents.devices.printer import Printer
from edge_agents.devices.scanner import Scanner
from edge_agents.events import Events
from edge_agents.journal import Journal, read_journal
from edge_agents.payment_request import SUBMITTERS, PendingPayment, RequestMaker, Submission
from edge_agents.register.price_list import load_price_list
from edge_agents.register.register import Register
from edge_agents.tap_desk import TicketsOf
from edge_agents.uplink import Uplink
from kessai.v1 import decline_pb2
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.payment_pb2 import SettlePaymentRequest
from simulators.devices.display import SimulatedDisplay
from simulators.devices.paper_roll import text_of
from simulators.devices.printer import SimulatedPrinter
from simulators.devices.scanner import SimulatedScanner
from tests.unit.edge_agents.parties import (
    NOW_US,
    WAIT_S,
    Field,
    Step,
    Switch,
    make_receipt,
    make_terminal,
    pending_of,
    serve,
    sign_receipt,
)

PRICES = Path(edge_agents.register.__file__).parent / "prices" / "corner_shop.csv"


BREAD, MILK = "9506000134352", "9506000134369"  # 3.49 and 1.29 EUR


class Clock:
    """A clock that a test can put forward."""

    def __init__(self) -> None:
        self.now_us = NOW_US

    def __call__(self) -> int:
        return self.now_us


class Follower(io.StringIO):
    """The stream of events, as the demo reads it."""

    def __init__(self) -> None:
        super().__init__()
        self.arrived = asyncio.Event()

    def write(self, text: str) -> int:
        self.arrived.set()
        return super().write(text)

    def names(self) -> list[str]:
        return [json.loads(line)["event"] for line in self.getvalue().splitlines()]

    async def wait_for(self, event: str, count: int = 1) -> None:
        async with asyncio.timeout(WAIT_S):
            while self.names().count(event) < count:
                self.arrived.clear()
                await self.arrived.wait()


@dataclass
class Shop:
    """A till with everything around it."""

    folder: Path
    switch: Switch
    scanner: SimulatedScanner
    display: SimulatedDisplay
    printer: SimulatedPrinter
    reader: Field = field(default_factory=Field)
    clock: Clock = field(default_factory=Clock)
    events: Follower = field(default_factory=Follower)
    submission: Submission = "relayed"
    tickets_of: TicketsOf | None = None

    async def scan(self, *codes: str) -> None:
        for code in codes:
            await asyncio.to_thread(self.scanner.scan, code)

    async def shows(self, text: str) -> None:
        await asyncio.to_thread(self.display.wait_for, text, WAIT_S)

    async def slips(self, count: int) -> list[str]:
        slips = await asyncio.to_thread(self.printer.wait_for_slips, count, WAIT_S)
        return [text_of(slip) for slip in slips]

    def newest(self) -> PendingPayment:
        return read_journal(self.folder)[0].pending

    def states(self) -> list[str]:
        return [entry.state.value for entry in read_journal(self.folder)]


@asynccontextmanager
async def open_till(shop: Shop, *plan: Step) -> AsyncIterator[None]:
    """Run a till until the block ends; the switch answers by the plan."""
    shop.switch.plan[:] = plan
    async with serve(shop.switch) as channel:
        around = Surroundings(
            Scanner(str(shop.folder / "scanner")),
            Display(str(shop.folder / "display")),
            Printer(str(shop.folder / "printer")),
            shop.reader,
            Journal(shop.folder),
            Uplink(channel, bytes, attempt_s=0.5, first_pause_s=0.05),
            tickets_of=shop.tickets_of,
        )
        prices = load_price_list(PRICES)
        events = Events(shop.clock, shop.events)
        for device in (around.scanner, around.display, around.printer):
            device.open()
        terminal = make_terminal()
        requests = RequestMaker(terminal, 60, shop.clock, os.urandom, SUBMITTERS[shop.submission])
        till = Till(
            terminal, lambda parts: Register(parts, prices), requests, around, events, shop.clock,
            os.urandom,
        )  # fmt: skip
        running = asyncio.create_task(till.run())
        try:
            await shop.events.wait_for("started", shop.events.names().count("stopped") + 1)
            yield
        finally:
            running.cancel()
            await asyncio.wait([running], timeout=WAIT_S)
            for device in (around.scanner, around.display, around.printer):
                device.close()
            around.journal.close()
        if not running.cancelled():
            running.result()


def decline(reason: decline_pb2.DeclineReason.ValueType) -> Step:
    return lambda request: sign_receipt(make_receipt(pending_of(request), reason))


def forge(request: SettlePaymentRequest) -> Signed:
    """Answer with a receipt that somebody else signed."""
    return sign_receipt(make_receipt(pending_of(request)), Ed25519PrivateKey.generate())
