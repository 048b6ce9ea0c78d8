"""Is the adapter there? Asked once when a BLE radio is opened, so that a person is told at start.

bleak would find out only at the first scan. Called by `ble_radio`. Source: BlueZ 5,
doc/org.bluez.Adapter.rst.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from dbus_fast import BusType, Message, MessageType, unpack_variants
from dbus_fast.aio import MessageBus
from dbus_fast.errors import AuthError, DBusError, InvalidAddressError

from edge_agents.links.ble_place import BlePlace

LIMIT_S = 5.0

_ADAPTER = "org.bluez.Adapter1"


class NoAdapter(Exception):
    """Why no phone can be called: the bus, bluetoothd or the adapter is missing, or is off."""


def require_adapter(place: BlePlace) -> None:
    """Return if the adapter can call phones; NoAdapter if not. Waits at most five seconds."""
    # Opening a radio does not wait, and may happen on a running loop: hence the thread.
    with ThreadPoolExecutor(max_workers=1) as thread:
        thread.submit(asyncio.run, _look(place)).result()


async def _look(place: BlePlace) -> None:
    try:
        async with asyncio.timeout(LIMIT_S):
            reply = await _ask_for_objects()
    except (OSError, EOFError, AuthError, DBusError, InvalidAddressError) as error:
        raise NoAdapter(f"the system bus does not answer ({error})") from error
    if reply.message_type is MessageType.ERROR:
        raise NoAdapter("bluetoothd does not run")
    objects = unpack_variants(reply.body[0])
    adapter = objects.get(f"/org/bluez/{place.adapter}", {}).get(_ADAPTER)
    if adapter is None:
        raise NoAdapter(f"there is no adapter {place.adapter}")
    if not adapter["Powered"]:
        raise NoAdapter(f"the adapter {place.adapter} is switched off")
    if "central" not in adapter.get("Roles", ["central"]):
        raise NoAdapter(f"the adapter {place.adapter} has no Low Energy")


async def _ask_for_objects() -> Message:
    bus = MessageBus(bus_type=BusType.SYSTEM)
    try:
        await bus.connect()
        call = Message(
            destination="org.bluez",
            path="/",
            interface="org.freedesktop.DBus.ObjectManager",
            member="GetManagedObjects",
        )
        return await bus.call(call)
    finally:
        bus.disconnect()
