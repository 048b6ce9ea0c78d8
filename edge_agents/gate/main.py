"""Runs a gate: opens what it needs, and stops cleanly at a signal.

Called by `kessai agent gate`. What is missing at start is a Complaint before anything was done;
after that only a journal that cannot be written ends it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TextIO

from edge_agents.device_care import Device
from edge_agents.devices.barrier import Barrier
from edge_agents.devices.display import Display
from edge_agents.devices.serial_line import DeviceLost
from edge_agents.display_board import DisplayBoard
from edge_agents.events import Events
from edge_agents.fleet_member import FleetMember
from edge_agents.gate import screens
from edge_agents.gate.admission import EntryGates
from edge_agents.gate.config import GateConfig
from edge_agents.gate.desk import GateDesk
from edge_agents.gate.entry import EntryLane
from edge_agents.gate.fare_box import SETTLE_BUDGET_S, FareBox
from edge_agents.gate.kept_feed import take_up
from edge_agents.gate.lane import GateParts, Lane
from edge_agents.gate.leaving import ExitLane
from edge_agents.gate.rides import Rides
from edge_agents.gate.rules import Rules, read_rules, tariff_reader
from edge_agents.gate.turnstile import Turnstile
from edge_agents.journal import Journal
from edge_agents.links.message_link import Radio
from edge_agents.links.radio import open_radio
from edge_agents.loops import run_until_one_ends
from edge_agents.payment_request import DAY_S, RequestMaker, Terminal
from edge_agents.renewal import keep_certificate
from edge_agents.settlements import Settlements
from edge_agents.terminal import open_terminal
from edge_agents.uplink import Uplink
from kessai.channel import open_channel
from kessai.device_identity import load_identity

# A person in front of a gate decides at once, or steps aside.
REQUEST_S = 20


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a gate is connected to; the devices are open."""

    barrier: Barrier
    display: Display
    radio: Radio
    journal: Journal
    rides: Rides
    uplink: Uplink
    member: FleetMember


class Gate:
    """A gate that runs."""

    def __init__(
        self,
        terminal: Terminal,
        rules: Rules,
        config: GateConfig,
        around: Surroundings,
        events: Events,
        now_us: Callable[[], int],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._around, self._events, self._terminal = around, events, terminal
        self._settlements = Settlements(
            around.journal, around.uplink, terminal.switch_key, events, now_us,
            around.member.offline,
        )  # fmt: skip

        def maker(days: int) -> RequestMaker:
            later_s = days * DAY_S
            return RequestMaker(terminal, REQUEST_S, now_us, random_bytes, deferred_s=later_s)

        self._parts = GateParts(
            terminal, rules, around.rides, around.journal, maker(0), maker(config.offline_days),
            self._settlements, around.uplink, around.member, EntryGates(terminal), events, now_us,
            random_bytes, config.offline_days > 0,
        )  # fmt: skip
        fare_box = FareBox(self._parts)
        is_entry = config.direction == "entry"
        lane: Lane = (EntryLane if is_entry else ExitLane)(self._parts, fare_box)
        self._turnstile = Turnstile(around.barrier, config.open_seconds, events)
        self._board = DisplayBoard(around.display, events)
        welcome = screens.ready(rules.name_of(rules.station), is_entry)
        self._desk = GateDesk(
            around.radio, lane, self._turnstile, self._board, self._parts, welcome
        )

    def use_certificate(self, terminal: Terminal) -> None:
        """Show a renewed merchant certificate from now on; its key stays."""
        self._parts.terminal = terminal
        self._parts.member.offline.use_certificate(terminal)
        self._parts.entry_gates.learn(terminal.merchant_certificate)

    async def run(self) -> None:
        """Run until cancelled; the barrier is then shut, and the display says so."""
        self._events.emit("started", terminal=self._terminal.terminal_id)
        try:
            await run_until_one_ends(
                self._board.run(),
                self._turnstile.run(),
                self._desk.run(),
                # What becomes known after its phone has left, the next tap finds in the journal.
                self._settlements.take_up(lambda *_: None, SETTLE_BUDGET_S),
            )
        finally:
            await self._turnstile.shut()
            with contextlib.suppress(DeviceLost):
                await self._around.display.show(*screens.closed()[0])
            self._events.emit("stopped")


def now_us() -> int:
    """Tell the machine's time, microseconds since 1970."""
    return time.time_ns() // 1000


async def run_gate(config: GateConfig, follower: TextIO | None) -> None:
    """Run until SIGTERM or SIGINT; Complaint if something is missing at start."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    events = Events(now_us, follower)
    identity = load_identity(config.folder)
    identity.require_in_date(now_us())
    terminal = open_terminal(config.folder, identity)
    async with contextlib.AsyncExitStack() as stack:
        journal = stack.enter_context(contextlib.closing(Journal(config.folder)))
        read = tariff_reader(config)
        tariffs = take_up(config.feed, config.folder, read, now_us(), events)
        rules = read_rules(config, tariffs)
        rides = stack.enter_context(contextlib.closing(Rides(config.folder)))
        barrier = Barrier(str(config.barrier), config.barrier_baudrate, config.barrier_unit)
        display = Display(str(config.display), config.display_baudrate)
        for device in (barrier, display):
            _open(stack, device)
        radio = open_radio(config.reader)
        uplink = Uplink(open_channel(identity), os.urandom)
        stack.push_async_callback(uplink.close)
        stack.push_async_callback(radio.close)
        member = FleetMember(config.folder, terminal, radio, journal, uplink, events, now_us)
        stack.callback(member.close)
        around = Surroundings(barrier, display, radio, journal, rides, uplink, member)
        gate = Gate(terminal, rules, config, around, events, now_us, os.urandom)
        await run_until_one_ends(
            stop.wait(),
            gate.run(),
            member.run(),
            keep_certificate(config.folder, uplink, gate.use_certificate, events, now_us),
        )


def _open(stack: contextlib.AsyncExitStack, device: Device) -> None:
    device.open()
    stack.callback(device.close)
