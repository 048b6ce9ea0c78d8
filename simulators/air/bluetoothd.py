"""The part of bluetoothd that a BLE central and a peripheral need: adapter, discovery, connections.

One adapter, hci0, stands for the radios of everybody on the bus: terminals are centrals, phones
register an application and an advertisement, and the air is between them. Called by `bus`; what
goes over a connection is in `links`. Source: BlueZ 5, doc/org.bluez.{Adapter,Device,GattManager,
LEAdvertisingManager}.rst.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

from dbus_fast import Message, unpack_variants

from simulators.air.bus import BUS, BusError, Reply
from simulators.air.links import Links
from simulators.air.objects import (
    ADAPTER,
    ADVERTISEMENT,
    ADVERTISING_MANAGER,
    DEVICE,
    GATT_MANAGER,
    MANAGED,
    OBJECT_MANAGER,
    PROPERTIES,
    ObjectTree,
)
from simulators.air.peripheral import Conditions, Peripheral

ADAPTER_PATH = "/org/bluez/hci0"
ADVERTISE_EVERY_S = 0.03
# How long a phone that has left stays among the known devices, and a connection to it is tried.
STALE_S = 1.0
CONNECT_LIMIT_S = 0.3

Call = Callable[[str, Message], Awaitable[list[Any]]]


class Bluetoothd:
    """org.bluez on the bus; see `bus.Service`."""

    def __init__(self, announce: Callable[[Message], None], call: Call) -> None:
        self._objects, self._call = ObjectTree(announce), call
        self._links = Links(self._objects, call)
        self._filters: dict[str, set[str]] = {}
        self._scanning: set[str] = set()
        self._applications: dict[str, dict[str, Any]] = {}
        self.peripherals: dict[str, Peripheral] = {}
        self._numbers = itertools.count(1)
        self.is_open = True
        self._methods = {
            (OBJECT_MANAGER, "GetManagedObjects"): self._managed,
            (ADAPTER, "SetDiscoveryFilter"): self._set_filter,
            (ADAPTER, "StartDiscovery"): self._start_discovery,
            (ADAPTER, "StopDiscovery"): self._stop_discovery,
            (GATT_MANAGER, "RegisterApplication"): self._register_application,
            (ADVERTISING_MANAGER, "RegisterAdvertisement"): self._register_advertisement,
            (ADVERTISING_MANAGER, "UnregisterAdvertisement"): self._unregister,
            (DEVICE, "Connect"): self._connect,
            (DEVICE, "Disconnect"): self._disconnect,
        }

    def plug(self, powered: bool = True) -> None:
        """Plug the adapter in."""
        about = {
            "Address": "00:11:22:33:44:55", "AddressType": "public", "Alias": "air",
            "Powered": powered, "Discovering": False, "Roles": ["central", "peripheral"],
            "UUIDs": [],
        }  # fmt: skip
        managers: dict[str, dict[str, Any]] = {ADVERTISING_MANAGER: {}, GATT_MANAGER: {}}
        self._objects.add(ADAPTER_PATH, {ADAPTER: about, **managers})

    def unplug(self) -> None:
        """Pull the adapter out: every link is lost, every device forgotten."""
        for peripheral in self.peripherals.values():
            self._links.lose(peripheral)
        self._scanning.clear()
        self._objects.remove(ADAPTER_PATH)

    def shut(self) -> None:
        """Take everybody out of everybody's reach, until `is_open` again."""
        self.is_open = False
        for peripheral in self.peripherals.values():
            self._links.lose(peripheral)

    def listen(self, listener: Callable[[bytes], None]) -> None:
        """Let somebody hear every value that goes over the air, either way."""
        self._links.listeners.append(listener)

    async def advertise(self) -> None:
        """Let the phones be heard, for ever."""
        while True:
            await asyncio.sleep(ADVERTISE_EVERY_S)
            for peripheral in self.peripherals.values():
                if self.is_open and self._is_sought(peripheral):
                    self._hear(peripheral)

    async def answer(self, call: Message) -> Reply:
        """Answer a call."""
        method = self._methods.get((call.interface or "", call.member or ""))
        if method is None:
            return await self._links.answer(call)
        if call.interface == ADAPTER and ADAPTER_PATH not in self._objects:
            raise BusError(f"{BUS}.Error.UnknownObject", "no such adapter")
        return await method(call)

    def on_signal(self, signal: Message) -> None:
        """Carry what a phone notifies."""
        peripheral = self.peripherals.get(signal.sender or "")
        if peripheral is not None and signal.member == "PropertiesChanged":
            self._links.notify(peripheral, signal)

    def on_gone(self, client: str) -> None:
        """Take what a client had out of the air; a central's connections stay, as BlueZ has it."""
        self._filters.pop(client, None)
        self._scanning.discard(client)
        self._applications.pop(client, None)
        self._remove(client)

    async def _managed(self, call: Message) -> Reply:
        return MANAGED, [self._objects.managed()]

    async def _set_filter(self, call: Message) -> Reply:
        wanted = unpack_variants(call.body[0]).get("UUIDs", [])
        self._filters[call.sender or ""] = {str(uuid) for uuid in wanted}
        return "", []

    async def _start_discovery(self, call: Message) -> Reply:
        self._scanning.add(call.sender or "")
        return "", []

    async def _stop_discovery(self, call: Message) -> Reply:
        if call.sender not in self._scanning:
            raise BusError("org.bluez.Error.Failed", "No discovery started")
        self._scanning.discard(call.sender)
        return "", []

    async def _register_application(self, call: Message) -> Reply:
        client = call.sender or ""
        [objects] = await self._call(client, _ask(call.body[0], OBJECT_MANAGER,
                                                  "GetManagedObjects", "", []))  # fmt: skip
        self._applications[client] = unpack_variants(objects)
        return "", []

    async def _register_advertisement(self, call: Message) -> Reply:
        client = call.sender or ""
        [about] = await self._call(client, _ask(call.body[0], PROPERTIES, "GetAll", "s",
                                                [ADVERTISEMENT]))  # fmt: skip
        number = next(self._numbers)
        address = f"C0:FF:EE:00:{number >> 8:02X}:{number & 255:02X}"
        self.peripherals[client] = Peripheral(
            client,
            f"{ADAPTER_PATH}/dev_{address.replace(':', '_')}",
            address,
            unpack_variants(about)["ServiceUUIDs"],
            Conditions.from_options(call.body[1]),
            self._applications.get(client, {}),
        )
        return "", []

    async def _unregister(self, call: Message) -> Reply:
        self._remove(call.sender or "")
        return "", []

    async def _connect(self, call: Message) -> Reply:
        peripheral = self._at(call)
        if peripheral.conditions.vanish:
            self._remove(peripheral.client)
        if peripheral.conditions.refuse:
            raise BusError("org.bluez.Error.Failed", "le-connection-refused")
        if peripheral.is_gone or not self.is_open:
            await asyncio.sleep(CONNECT_LIMIT_S)
            raise BusError("org.bluez.Error.Failed", "le-connection-timeout")
        await self._links.connect(peripheral)
        return "", []

    async def _disconnect(self, call: Message) -> Reply:
        self._links.lose(self._at(call))
        return "", []

    def _at(self, call: Message) -> Peripheral:
        found = (each for each in self._links.known if each.path == call.path)
        peripheral = next(found, None)
        if peripheral is None or peripheral.path not in self._objects:
            raise BusError(f"{BUS}.Error.UnknownObject", f"there is no {call.path}")
        return peripheral

    def _is_sought(self, peripheral: Peripheral) -> bool:
        wanted = (self._filters.get(client, set()) for client in self._scanning)
        return not peripheral.is_connected and any(
            not uuids or uuids & set(peripheral.services) for uuids in wanted
        )

    def _hear(self, peripheral: Peripheral) -> None:
        if peripheral.path in self._objects:
            self._objects.change(peripheral.path, DEVICE, {"RSSI": peripheral.conditions.rssi})
            return
        if peripheral not in self._links.known:
            self._links.known.append(peripheral)
        self._objects.add(peripheral.path, {DEVICE: {
            "Address": peripheral.address, "AddressType": "random", "Alias": peripheral.address,
            "Paired": False, "Connected": False, "Trusted": False, "Blocked": False,
            "LegacyPairing": False, "UUIDs": peripheral.services, "Adapter": ADAPTER_PATH,
            "RSSI": peripheral.conditions.rssi, "ServicesResolved": False,
        }})  # fmt: skip

    def _remove(self, client: str) -> None:
        peripheral = self.peripherals.pop(client, None)
        if peripheral is not None:
            self._links.lose(peripheral)
            peripheral.is_gone = True
            asyncio.get_running_loop().call_later(STALE_S, self._forget, peripheral)

    def _forget(self, peripheral: Peripheral) -> None:
        self._objects.remove(peripheral.path)
        if peripheral in self._links.known:
            self._links.known.remove(peripheral)


def _ask(path: str, interface: str, member: str, signature: str, body: list[Any]) -> Message:
    return Message(
        path=path, interface=interface, member=member, signature=signature, body=body
    )  # fmt: skip
