"""Runs a counter: opens what it needs, and stops cleanly at a signal.

Called by the `main` of register and ticket machine. What is missing at start is a Complaint before
anything was done; after that only a journal that cannot be written ends it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TextIO

from edge_agents.counter.checkout import Checkout, CheckoutParts
from edge_agents.counter.config import CounterConfig
from edge_agents.counter.till import Surroundings, Till
from edge_agents.device_care import Device
from edge_agents.devices.display import Display
from edge_agents.devices.printer import Printer
from edge_agents.devices.scanner import Scanner
from edge_agents.events import Events
from edge_agents.fleet_member import FleetMember
from edge_agents.journal import Journal
from edge_agents.links.radio import open_radio
from edge_agents.loops import run_until_one_ends
from edge_agents.payment_request import DAY_S, SUBMITTERS, RequestMaker, Terminal
from edge_agents.renewal import keep_certificate
from edge_agents.terminal import open_terminal
from edge_agents.uplink import Uplink
from kessai.channel import open_channel
from kessai.device_identity import DeviceIdentity, load_identity


def now_us() -> int:
    """Tell the machine's time, microseconds since 1970."""
    return time.time_ns() // 1000


@dataclass(frozen=True, slots=True)
class Counter:
    """A counter whose devices, journal and line are open."""

    config: CounterConfig
    terminal: Terminal
    events: Events
    member: FleetMember
    around: Surroundings
    stop: asyncio.Event

    async def serve(
        self,
        open_checkout: Callable[[CheckoutParts], Checkout[Any]],
        around: Surroundings,
        *loops: Coroutine[Any, Any, object],
    ) -> None:
        """Serve customers until SIGTERM or SIGINT, with other loops beside it."""
        config = self.config
        requests = RequestMaker(
            self.terminal,
            config.request_seconds,
            now_us,
            os.urandom,
            SUBMITTERS[config.submission],
            config.offline_days * DAY_S,
        )
        till = Till(
            self.terminal, open_checkout, requests, around, self.events, now_us, os.urandom
        )  # fmt: skip
        await run_until_one_ends(
            self.stop.wait(),
            till.run(),
            self.member.run(),
            keep_certificate(
                config.folder, around.uplink, till.use_certificate, self.events, now_us
            ),
            *loops,
        )


@contextlib.asynccontextmanager
async def open_counter(config: CounterConfig, follower: TextIO | None) -> AsyncIterator[Counter]:
    """Open everything; Complaint if something is missing."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    folder, events = config.folder, Events(now_us, follower)
    identity = load_identity(folder)
    identity.require_in_date(now_us())
    terminal = open_terminal(folder, identity)
    async with contextlib.AsyncExitStack() as stack:
        around = _open_all(config, identity, stack)
        stack.push_async_callback(around.uplink.close)
        stack.push_async_callback(around.radio.close)
        member = FleetMember(
            folder, terminal, around.radio, around.journal, around.uplink, events, now_us
        )
        stack.callback(member.close)
        yield Counter(config, terminal, events, member, around, stop)


def _open_all(
    config: CounterConfig, identity: DeviceIdentity, stack: contextlib.AsyncExitStack
) -> Surroundings:
    journal = stack.enter_context(contextlib.closing(Journal(config.folder)))
    flow = config.printer_flow_control
    scanner = Scanner(str(config.scanner), config.scanner_baudrate)
    display = Display(str(config.display), config.display_baudrate)
    printer = Printer(str(config.printer), config.printer_baudrate, flow)
    for device in (scanner, display, printer):
        _open(stack, device)
    radio = open_radio(config.reader)
    uplink = Uplink(open_channel(identity), os.urandom)
    return Surroundings(scanner, display, printer, radio, journal, uplink)


def _open(stack: contextlib.AsyncExitStack, device: Device) -> None:
    device.open()
    stack.callback(device.close)
