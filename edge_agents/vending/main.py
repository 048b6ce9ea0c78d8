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
from collections.abc import Callable, Coroutine
from typing import Any, TextIO

import grpc.aio

from edge_agents.devices.mdb_adapter import MdbAdapter
from edge_agents.events import Events
from edge_agents.fleet_member import FleetMember
from edge_agents.journal import Journal
from edge_agents.links.radio import open_radio
from edge_agents.loops import run_until_one_ends
from edge_agents.payment_request import SUBMITTERS, RequestMaker, Terminal
from edge_agents.relay_address import parse_relay
from edge_agents.relay_channel import RelayChannel
from edge_agents.relay_watch import RelayWatch
from edge_agents.renewal import keep_certificate
from edge_agents.terminal import open_terminal
from edge_agents.uplink import Uplink
from edge_agents.vending.config import VendingConfig
from edge_agents.vending.items import load_items
from edge_agents.vending.machine import Machine, Surroundings
from kessai.channel import open_channel
from kessai.complaint import Complaint
from kessai.device_identity import DeviceIdentity, load_identity


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
    _require_possible(config)
    async with contextlib.AsyncExitStack() as stack:
        journal = stack.enter_context(contextlib.closing(Journal(folder)))
        adapter = MdbAdapter(str(config.machine), config.machine_baudrate)
        adapter.open()
        stack.callback(adapter.close)
        open_line = _line_of(config, terminal)
        uplink = Uplink(open_line(identity), os.urandom, reopen=open_line)
        stack.push_async_callback(uplink.close)
        radio = open_radio(config.reader)
        stack.push_async_callback(radio.close)
        around = Surroundings(adapter, radio, journal, uplink)
        in_touch = _stay_in_touch(config, terminal, around, events, stack)
        submitter = SUBMITTERS[config.submission]
        requests = RequestMaker(terminal, config.request_seconds, now_us, os.urandom, submitter)
        machine = Machine(terminal, config, items, requests, around, events, now_us, os.urandom)
        await run_until_one_ends(
            stop.wait(),
            machine.run(),
            in_touch,
            keep_certificate(folder, uplink, machine.use_certificate, events, now_us),
        )


def _require_possible(config: VendingConfig) -> None:
    """Complaint about what does not go through a fleet's server."""
    if not config.relay:
        return
    if config.submission == "direct":
        raise Complaint(
            'relay and submission = "direct" do not go together: a machine behind its fleet\'s '
            "server does not hear what phones submit. No money was moved. Take one of them out."
        )
    if config.offline_days:
        raise Complaint(
            "relay and offline_days do not go together: whom to turn away is not told through a "
            "fleet's server. No money was moved. Take one of them out."
        )


def _line_of(
    config: VendingConfig, terminal: Terminal
) -> Callable[[DeviceIdentity], grpc.aio.Channel]:
    """How the line is opened: to the switch, or through the fleet's server."""
    if not config.relay:
        return open_channel
    relay = parse_relay(config.relay)
    return lambda identity: RelayChannel(relay, identity, terminal.signing_key, now_us, os.urandom)


def _stay_in_touch(
    config: VendingConfig,
    terminal: Terminal,
    around: Surroundings,
    events: Events,
    stack: contextlib.AsyncExitStack,
) -> Coroutine[Any, Any, None]:
    """The loop that keeps the machine in touch with its fleet's operator, or with its server."""
    if config.relay:
        return RelayWatch(around.uplink, parse_relay(config.relay), events).run()
    member = FleetMember(
        config.folder, terminal, around.radio, around.journal, around.uplink, events, now_us
    )
    stack.callback(member.close)
    return member.run()
