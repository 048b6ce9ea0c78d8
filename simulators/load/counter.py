"""A counter for the tap bench: a terminal's real tap desk, a phone held to its reader, a stopwatch.

The terminal and the phone share this process and nothing else: between them are nfcpy's reader and
the field, between terminal and switch mutual TLS. The time begins when the phone comes into the
field, and ends with the verdict: the receipt verified, and on the terminal's disk. Used by
`tap.py`.
"""

from __future__ import annotations

import asyncio
import os
from time import perf_counter

from edge_agents.events import Events
from edge_agents.journal import Journal
from edge_agents.links.message_link import Radio
from edge_agents.payment_request import PendingPayment, RequestMaker, Terminal
from edge_agents.settlements import Outcome, Settlements, Verdict
from edge_agents.tap import PhoneAnswer
from edge_agents.tap_desk import TapDesk
from edge_agents.uplink import Uplink
from kessai.complaint import Complaint
from kessai.enum_name import enum_name
from kessai.money import Money
from kessai.v1.payment_pb2 import LineItem
from kessai.v1.tap_pb2 import TapStatus
from server import main
from simulators.load.books import CURRENCY
from simulators.load.touch import WatchedField, WatchedRadio
from simulators.phone.field import Field
from simulators.phone.phone import Phone

PRICE_MINOR = 398
TAP_LIMIT_S = 10.0
PHONE_STAYS_S = 3.0

_LIFETIME_S = 60


class Seller:
    """Sells one thing at a time to whoever taps; see `edge_agents.tap_desk.Seller`."""

    def __init__(self) -> None:
        self.phone_wanted = asyncio.Event()
        self._pending: PendingPayment | None = None
        self._verdict: asyncio.Future[float] | None = None

    def offer(self, pending: PendingPayment) -> asyncio.Future[float]:
        """Ask for a payment; when it was settled, on the `perf_counter` clock, or a Complaint."""
        self._pending = pending
        self._verdict = asyncio.get_running_loop().create_future()
        self.phone_wanted.set()
        return self._verdict

    def wanted_payment(self) -> PendingPayment | None:
        """Give the request that waits for a phone."""
        return self._pending

    def on_deciding(self, pending: PendingPayment) -> None:
        """Let the customer look."""

    def on_refusal(self, pending: PendingPayment, answer: PhoneAnswer) -> None:
        """End the bench: this phone was to pay."""
        status = enum_name(TapStatus.DESCRIPTOR, answer.status, "TAP_STATUS_")
        self._end(Complaint(f"the phone refused to pay: {status}"))

    def on_authorized(self, pending: PendingPayment) -> None:
        """Wait for the switch."""

    def on_outcome(self, pending: PendingPayment, outcome: Outcome) -> None:
        """Stop the watch."""
        settled = outcome.verdict is Verdict.SETTLED
        self._end(perf_counter() if settled else Complaint(f"a tap was {outcome.verdict.value}"))

    def _end(self, verdict: float | Complaint) -> None:
        self._pending = None
        if self._verdict is None or self._verdict.done():
            return
        if isinstance(verdict, Complaint):
            self._verdict.set_exception(verdict)
        else:
            self._verdict.set_result(verdict)


class Counter:
    """The terminal at one reader; it serves within `async with`."""

    def __init__(self, terminal: Terminal, journal: Journal, uplink: Uplink, radio: Radio) -> None:
        self._journal, self._radio, self._seller = journal, WatchedRadio(radio), Seller()
        self._requests = RequestMaker(terminal, _LIFETIME_S, main.now_us, os.urandom)
        events = Events(main.now_us)
        self._desk = TapDesk(
            self._radio,
            self._seller,
            terminal,
            journal,
            Settlements(journal, uplink, terminal.switch_key, events, main.now_us),
            events,
            self._seller.phone_wanted,
            main.now_us,
            os.urandom,
        )

    async def __aenter__(self) -> Counter:
        self._serving = asyncio.create_task(self._desk.run())
        return self

    async def __aexit__(self, *error: object) -> None:
        self._serving.cancel()
        await asyncio.gather(self._serving, return_exceptions=True)
        await self._radio.close()

    async def sell(self, phone: Phone, field: Field, pause_s: float) -> float:
        """Sell something to a phone that comes a little later; milliseconds from touch to verdict.

        Complaint if it does not end with money, within TAP_LIMIT_S.
        """
        items = [LineItem(description="Tea", quantity=2, unit_price_minor=PRICE_MINOR // 2)]
        order = f"bench-{self._journal.next_order_number()}"
        pending = self._requests.make(order, items, Money(PRICE_MINOR, CURRENCY))
        self._journal.request(pending)
        verdict = self._seller.offer(pending)
        watched = WatchedField(field)
        try:
            async with asyncio.timeout(TAP_LIMIT_S):
                await self._radio.searching.wait()
                await asyncio.sleep(pause_s)
                tap = asyncio.create_task(asyncio.to_thread(phone.tap, watched, PHONE_STAYS_S))
                settled = await verdict
                await tap
        except TimeoutError:
            raise Complaint(f"a tap did not end within {TAP_LIMIT_S:g} s") from None
        return (settled - watched.touched) * 1000
