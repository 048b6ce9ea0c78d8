"""Runs an entrance: opens what it needs, and stops cleanly at a signal.

Called by `kessai agent entrance`. What is missing at start is a Complaint before anybody was let
in; after that the switch, the hub and the door may come and go.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TextIO

from edge_agents.devices.door import Door
from edge_agents.entrance.book import EntranceBook
from edge_agents.entrance.config import EntranceConfig
from edge_agents.entrance.counting import Counter, DoorCounter
from edge_agents.entrance.door_watch import DoorWatch
from edge_agents.entrance.doors import Doors
from edge_agents.entrance.entrance import Entrance, EntranceParts
from edge_agents.entrance.hub import EntranceHub, serve_hub
from edge_agents.entrance.hub_line import HubLine
from edge_agents.entrance.upload import Upload
from edge_agents.entrance.verdict import Doorkeeper
from edge_agents.events import Events
from edge_agents.fleet_member import FleetMember
from edge_agents.journal import Journal
from edge_agents.links.message_link import Radio
from edge_agents.links.radio import open_radio
from edge_agents.loops import run_until_one_ends
from edge_agents.payment_request import Terminal
from edge_agents.renewal import keep_certificate
from edge_agents.serving_port import ServingCertificate
from edge_agents.terminal import open_terminal
from edge_agents.ticket_line import TicketLine
from edge_agents.uplink import Uplink
from kessai.channel import open_channel
from kessai.complaint import Complaint
from kessai.device_identity import DeviceIdentity, load_identity


def now_us() -> int:
    """Tell the machine's time, microseconds since 1970."""
    return time.time_ns() // 1000


async def run_entrance(config: EntranceConfig, follower: TextIO | None) -> None:
    """Run until SIGTERM or SIGINT; Complaint if something is missing at start."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    events, identity = Events(now_us, follower), load_identity(config.folder)
    identity.require_in_date(now_us())
    terminal = open_terminal(config.folder, identity)
    async with contextlib.AsyncExitStack() as stack:
        journal = stack.enter_context(contextlib.closing(Journal(config.folder)))
        uplink = Uplink(open_channel(identity), os.urandom)
        stack.push_async_callback(uplink.close)
        radio = open_radio(config.reader)
        stack.push_async_callback(radio.close)
        member = FleetMember(config.folder, terminal, radio, journal, uplink, events, now_us)
        stack.callback(member.close)
        around = Around(identity, terminal, member, radio, uplink, events)
        parts = await _put_together(config, around, stack)
        entrance = Entrance(parts)
        await entrance.take_up()
        member.state.say("letting in")
        events.emit("started", terminal=terminal.terminal_id)
        await run_until_one_ends(
            stop.wait(),
            entrance.run(),
            parts.watch.run(),
            parts.upload.run(),
            member.run(),
            keep_certificate(
                config.folder, uplink, entrance.use_certificate, events, now_us, around.others
            ),
        )
        events.emit("stopped")


@dataclass(frozen=True, slots=True)
class Around:
    """What an entrance has around it."""

    identity: DeviceIdentity
    terminal: Terminal
    member: FleetMember
    radio: Radio
    uplink: Uplink
    events: Events
    # Users of a renewed certificate, besides the line to the switch.
    others: list[Callable[[DeviceIdentity], Awaitable[None]]] = field(default_factory=list)


async def _put_together(
    config: EntranceConfig, around: Around, stack: contextlib.AsyncExitStack
) -> EntranceParts:
    terminal, events = around.terminal, around.events
    book = stack.enter_context(contextlib.closing(EntranceBook(config.folder)))
    hub = await _open_hub(config, around, book, stack)
    counter: Counter = hub or DoorCounter(book)
    door = _make_door(config)
    door.open()
    stack.callback(door.close)
    line, denied = TicketLine(around.uplink), around.member.deny_list
    return EntranceParts(
        terminal=terminal,
        keeper=Doorkeeper(
            terminal.merchant_id, config.event_ids, denied, config.deny_list_hours, now_us
        ),
        book=book,
        counter=counter,
        alone=config.hub_away == "alone",
        line=line,
        upload=Upload(book, line, hub, events),
        door=door,
        watch=DoorWatch(door, events),
        radio=around.radio,
        events=events,
        unlock_s=config.unlock_seconds,
        held_open_s=config.held_open_seconds,
        now_us=now_us,
        random_bytes=os.urandom,
    )


def _make_door(config: EntranceConfig) -> Door:
    """Make the driver that is named, and load no other."""
    path = str(config.door)
    if config.door_protocol == "modbus":
        from edge_agents.devices.modbus_door import ModbusDoor

        return ModbusDoor(path, config.door_baudrate, config.door_address)
    from edge_agents.devices.osdp_door import OsdpDoor

    return OsdpDoor(path, config.read_door_key(), config.door_baudrate, config.door_address)


async def _open_hub(
    config: EntranceConfig,
    around: Around,
    book: EntranceBook,
    stack: contextlib.AsyncExitStack,
) -> HubLine | None:
    """Be the hub, or open a line to it, or neither."""
    identity, terminal = around.identity, around.terminal
    if config.hub and config.hub_listen:
        raise Complaint("An entrance is the hub (hub_listen) or has one (hub), not both.")
    if config.hub_listen:
        doors = Doors(identity, around.member.deny_list, now_us)
        served = EntranceHub(book, doors, terminal.merchant_id, terminal.switch_key)
        certificate = ServingCertificate(identity)
        server = await serve_hub(served, config.hub_listen, certificate)
        around.others.append(certificate.renew)
        stack.push_async_callback(server.stop, None)
    if not config.hub:
        return None
    if not config.hub_terminal:
        raise Complaint("Which terminal is the hub? Set hub_terminal to the id it was paired as.")
    hub = HubLine(config.hub, config.hub_terminal, identity)
    around.others.append(hub.renew)
    stack.push_async_callback(hub.close)
    return hub
