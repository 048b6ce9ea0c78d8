"""A vending machine's reader, wired: its line to the machine, its radio, journal and switch.

`main` makes one from the configuration. The clock and the randomness come in from outside.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from edge_agents.device_care import wait_until_back
from edge_agents.devices.mdb_adapter import MdbAdapter, read_word
from edge_agents.devices.serial_line import DeviceLost
from edge_agents.direct_payments import DirectPayments
from edge_agents.events import Events
from edge_agents.hold_ends import HoldEnds
from edge_agents.journal import Journal
from edge_agents.links.message_link import Radio
from edge_agents.loops import run_until_one_ends
from edge_agents.payment_request import RequestMaker, Terminal
from edge_agents.settlements import Settlements
from edge_agents.tap_desk import SETTLE_BUDGET_S, TapDesk
from edge_agents.uplink import Uplink
from edge_agents.vending.config import VendingConfig
from edge_agents.vending.items import Items
from edge_agents.vending.machine_display import MachineDisplay
from edge_agents.vending.vend import VendingParts
from edge_agents.vending.vending import Vending


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a vending machine's reader is connected to; the adapter is open."""

    adapter: MdbAdapter
    radio: Radio
    journal: Journal
    uplink: Uplink


class Machine:
    """A vending machine's reader that runs."""

    def __init__(
        self,
        terminal: Terminal,
        config: VendingConfig,
        items: Items | None,
        requests: RequestMaker,
        around: Surroundings,
        events: Events,
        now_us: Callable[[], int],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        journal, uplink, phone_wanted = around.journal, around.uplink, asyncio.Event()
        key = terminal.switch_key
        self._terminal, self._around, self._events = terminal, around, events
        self._shows = config.machine_display
        self._to_machine: asyncio.Queue[str] = asyncio.Queue()
        self._display = MachineDisplay(self._to_machine.put_nowait)
        self._settlements = Settlements(journal, uplink, key, events, now_us)
        self._direct = DirectPayments(journal, uplink, self._settlements, events, now_us)
        self._ends = HoldEnds(journal, uplink, key, events, now_us, random_bytes)
        self._vending = Vending(
            VendingParts(
                terminal.terminal_id, config.currency, items, journal, requests, self._ends, events,
                self._to_machine.put_nowait, self._show, phone_wanted, now_us,
                config.vend_seconds, config.ask_seconds, config.hold_seconds,
            )
        )  # fmt: skip
        self._taps = TapDesk(
            around.radio, self._vending, terminal, journal, self._settlements, events,
            phone_wanted, now_us, random_bytes, self._vending.show_code, self._direct,
        )  # fmt: skip

    def use_certificate(self, terminal: Terminal) -> None:
        """Present a renewed merchant certificate from now on."""
        self._taps.use_certificate(terminal)

    async def run(self) -> None:
        """Run until cancelled."""
        self._vending.start()
        self._events.emit("started", terminal=self._terminal.terminal_id)
        try:
            await run_until_one_ends(
                self._serve_line(),
                self._taps.run(),
                self._settlements.take_up(self._vending.on_outcome, SETTLE_BUDGET_S),
                self._direct.run(self._vending.on_outcome),
                self._ends.run(self._vending.on_hold_end),
            )
        finally:
            self._events.emit("stopped")

    async def _serve_line(self) -> None:
        adapter = self._around.adapter
        while True:
            self._vending.on_line_open()
            try:
                await run_until_one_ends(self._listen(), self._talk())
            except DeviceLost as lost:
                self._vending.on_line_lost()
                self._display.stop()
                self._to_machine = _emptied(self._to_machine)
                await wait_until_back(adapter, lost, self._events)

    async def _listen(self) -> None:
        async for line in self._around.adapter.lines():
            word = read_word(line)
            if word is not None:
                self._vending.on_word(word)

    async def _talk(self) -> None:
        while True:
            await self._around.adapter.send(await self._to_machine.get())

    def _show(self, text: str) -> None:
        if self._shows:
            self._display.show(text)


def _emptied(queue: asyncio.Queue[str]) -> asyncio.Queue[str]:
    """Throw away what a line that is gone was to carry: nothing of it is meant for later."""
    while not queue.empty():
        queue.get_nowait()
    return queue
