"""A till: a checkout wired to its devices, its reader, its journal and the switch.

`main` makes one from the configuration. The clock and the randomness come in from outside.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edge_agents.counter import screens
from edge_agents.counter.checkout import Checkout, CheckoutParts
from edge_agents.device_care import wait_until_back
from edge_agents.devices.display import Display
from edge_agents.devices.printer import Printer
from edge_agents.devices.scanner import Scanner
from edge_agents.devices.serial_line import DeviceLost
from edge_agents.direct_payments import DirectPayments
from edge_agents.display_board import DisplayBoard
from edge_agents.events import Events
from edge_agents.journal import Journal
from edge_agents.links.message_link import Radio
from edge_agents.loops import run_until_one_ends
from edge_agents.offline_decision import OfflineDecision
from edge_agents.payment_request import RequestMaker, Terminal
from edge_agents.receipt_desk import ReceiptDesk
from edge_agents.settlements import Settlements
from edge_agents.tap_desk import SETTLE_BUDGET_S, TapDesk, TicketsOf
from edge_agents.uplink import Uplink

_UNPLUGGED = ("Scanner unplugged", "")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a till is connected to; the devices are open."""

    scanner: Scanner
    display: Display
    printer: Printer
    radio: Radio
    journal: Journal
    uplink: Uplink
    offline: OfflineDecision | None = None
    tickets_of: TicketsOf | None = None


class Till:
    """A counter that runs."""

    def __init__(
        self,
        terminal: Terminal,
        open_checkout: Callable[[CheckoutParts], Checkout[Any]],
        requests: RequestMaker,
        around: Surroundings,
        events: Events,
        now_us: Callable[[], int],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        journal, phone_wanted = around.journal, asyncio.Event()
        self._terminal, self._around, self._events = terminal, around, events
        self._settlements = Settlements(
            journal, around.uplink, terminal.switch_key, events, now_us, around.offline
        )
        self._direct = DirectPayments(journal, around.uplink, self._settlements, events, now_us)
        self._board = DisplayBoard(around.display, events)
        self._desk = ReceiptDesk(
            journal, around.printer, self._board, terminal.display_name, events
        )
        self._checkout = open_checkout(
            CheckoutParts(
                terminal=terminal,
                journal=journal,
                requests=requests,
                board=self._board,
                desk=self._desk,
                events=events,
                phone_wanted=phone_wanted,
                now_us=now_us,
            )
        )
        self._taps = TapDesk(
            around.radio, self._checkout, terminal, journal, self._settlements, events,
            phone_wanted, now_us, random_bytes, self._checkout.show_code, self._direct,
            around.tickets_of,
        )  # fmt: skip

    def use_certificate(self, terminal: Terminal) -> None:
        """Present a renewed merchant certificate from now on."""
        self._taps.use_certificate(terminal)
        if self._around.offline is not None:
            self._around.offline.use_certificate(terminal)

    async def run(self) -> None:
        """Run until cancelled; the display then says that it is closed."""
        self._checkout.start()
        self._events.emit("started", terminal=self._terminal.terminal_id)
        try:
            await run_until_one_ends(
                self._board.run(),
                self._desk.run(),
                self._taps.run(),
                self._read_scanner(),
                self._settlements.take_up(self._checkout.on_outcome, SETTLE_BUDGET_S),
                self._direct.run(self._checkout.on_outcome),
            )
        finally:
            with contextlib.suppress(DeviceLost):
                await self._around.display.show(*screens.closed()[0])
            self._events.emit("stopped")

    async def _read_scanner(self) -> None:
        scanner = self._around.scanner
        while True:
            try:
                async for line in scanner.lines():
                    self._checkout.on_line(line)
            except DeviceLost as lost:
                self._board.set_notice(scanner.name, _UNPLUGGED)
                await wait_until_back(scanner, lost, self._events)
                self._board.set_notice(scanner.name, None)
