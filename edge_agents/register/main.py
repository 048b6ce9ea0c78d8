"""Runs a register: opens what it needs, and stops cleanly at a signal.

Called by `kessai agent register`. What is missing at start is a Complaint before anything was done;
after that only a journal that cannot be written ends it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from dataclasses import replace
from typing import TextIO

from edge_agents.device_care import Device
from edge_agents.devices.display import Display
from edge_agents.devices.printer import Printer
from edge_agents.devices.scanner import Scanner
from edge_agents.events import Events
from edge_agents.fleet_member import FleetMember
from edge_agents.journal import Journal
from edge_agents.links.radio import open_radio
from edge_agents.loops import run_until_one_ends
from edge_agents.payment_request import DAY_S, SUBMITTERS, RequestMaker
from edge_agents.register.config import RegisterConfig
from edge_agents.register.price_list import load_price_list
from edge_agents.register.till import Surroundings, Till
from edge_agents.renewal import keep_certificate
from edge_agents.terminal import open_terminal
from edge_agents.uplink import Uplink
from kessai.channel import open_channel
from kessai.device_identity import DeviceIdentity, load_identity


def now_us() -> int:
    """Tell the machine's time, microseconds since 1970."""
    return time.time_ns() // 1000


async def run_register(config: RegisterConfig, follower: TextIO | None) -> None:
    """Run until SIGTERM or SIGINT; Complaint if something is missing at start."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    folder, events = config.folder, Events(now_us, follower)
    identity = load_identity(folder)
    identity.require_in_date(now_us())
    terminal = open_terminal(folder, identity)
    prices = load_price_list(config.price_list, config.currency)
    async with contextlib.AsyncExitStack() as stack:
        around = _open_all(config, identity, stack)
        stack.push_async_callback(around.uplink.close)
        stack.push_async_callback(around.radio.close)
        member = FleetMember(
            folder, terminal, around.radio, around.journal, around.uplink, events, now_us
        )
        stack.callback(member.close)
        requests = RequestMaker(
            terminal,
            config.request_seconds,
            now_us,
            os.urandom,
            SUBMITTERS[config.submission],
            config.offline_days * DAY_S,
        )
        till = Till(
            terminal, prices, requests, replace(around, member=member), events, now_us, os.urandom
        )  # fmt: skip
        await run_until_one_ends(
            stop.wait(),
            till.run(),
            member.run(),
            keep_certificate(folder, around.uplink, till.use_certificate, events, now_us),
        )


def _open_all(
    config: RegisterConfig, identity: DeviceIdentity, stack: contextlib.AsyncExitStack
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
