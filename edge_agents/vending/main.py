"""Runs a vending machine's reader: opens what it needs, and stops cleanly at a signal.

Called by `kessai agent vending`. What is missing at start is a Complaint before anything was done;
after that only a journal that cannot be written ends it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from typing import TextIO

from edge_agents.devices.mdb_adapter import MdbAdapter
from edge_agents.events import Events
from edge_agents.fleet_member import FleetMember
from edge_agents.journal import Journal
from edge_agents.links.radio import open_radio
from edge_agents.loops import run_until_one_ends
from edge_agents.payment_request import SUBMITTERS, RequestMaker
from edge_agents.renewal import keep_certificate
from edge_agents.terminal import open_terminal
from edge_agents.uplink import Uplink
from edge_agents.vending.config import VendingConfig
from edge_agents.vending.items import load_items
from edge_agents.vending.machine import Machine, Surroundings
from kessai.channel import open_channel
from kessai.device_identity import load_identity


def now_us() -> int:
    """Tell the machine's time, microseconds since 1970."""
    return time.time_ns() // 1000


async def run_vending(config: VendingConfig, follower: TextIO | None) -> None:
    """Run until SIGTERM or SIGINT; Complaint if something is missing at start."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    folder, events = config.folder, Events(now_us, follower)
    identity = load_identity(folder)
    identity.require_in_date(now_us())
    terminal = open_terminal(folder, identity)
    items = load_items(config.items) if config.items is not None else None
    async with contextlib.AsyncExitStack() as stack:
        journal = stack.enter_context(contextlib.closing(Journal(folder)))
        adapter = MdbAdapter(str(config.machine), config.machine_baudrate)
        adapter.open()
        stack.callback(adapter.close)
        uplink = Uplink(open_channel(identity), os.urandom)
        stack.push_async_callback(uplink.close)
        radio = open_radio(config.reader)
        stack.push_async_callback(radio.close)
        around = Surroundings(adapter, radio, journal, uplink)
        member = FleetMember(folder, terminal, radio, journal, uplink, events, now_us)
        stack.callback(member.close)
        submitter = SUBMITTERS[config.submission]
        requests = RequestMaker(terminal, config.request_seconds, now_us, os.urandom, submitter)
        machine = Machine(terminal, config, items, requests, around, events, now_us, os.urandom)
        await run_until_one_ends(
            stop.wait(),
            machine.run(),
            member.run(),
            keep_certificate(folder, uplink, machine.use_certificate, events, now_us),
        )
