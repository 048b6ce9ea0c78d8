"""Connections between a central and the phones: GATT objects, writes one way, notifications back.

Used by `bluetoothd`. A value takes its time in the air, is cut at the MTU, and may be the one at
which the link is lost. Source: BlueZ 5, doc/org.bluez.GattCharacteristic.rst.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from dbus_fast import Message, MessageFlag, Variant, unpack_variants

from simulators.air.bus import BUS, BusError, Reply
from simulators.air.objects import CHARACTERISTIC, DEVICE, ObjectTree
from simulators.air.peripheral import Characteristic, Peripheral

ATT_HEADER_BYTES = 3

Call = Callable[[str, Message], Awaitable[list[Any]]]


@dataclass(slots=True)
class _Link:
    """What is connected: the phone, its characteristics, and what it notifies, in order."""

    peripheral: Peripheral
    characteristics: list[Characteristic]
    notified: asyncio.Queue[tuple[Characteristic, bytes]] = field(default_factory=asyncio.Queue)
    carrier: asyncio.Task[None] | None = None


class Links:
    """The connections.

    `known` are the phones that have a device object; `listeners` hear every value that is carried.
    """

    def __init__(self, objects: ObjectTree, call: Call) -> None:
        self._objects, self._call = objects, call
        self.known: list[Peripheral] = []
        self.listeners: list[Callable[[bytes], None]] = []
        self._links: dict[str, _Link] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def connect(self, peripheral: Peripheral) -> None:
        """Connect to a phone, and find its services."""
        await _pass_air(peripheral)
        objects, characteristics = peripheral.gatt_objects()
        peripheral.is_connected = True
        link = self._links[peripheral.path] = _Link(peripheral, characteristics)
        link.carrier = self._start(self._carry(link))
        self._objects.change(peripheral.path, DEVICE, {"Connected": True})
        for path, interfaces in objects.items():
            self._objects.add(path, interfaces)
        await _pass_air(peripheral)
        self._objects.change(peripheral.path, DEVICE, {"ServicesResolved": True})

    def lose(self, peripheral: Peripheral) -> None:
        """Lose the link to a phone; nothing if there is none."""
        link = self._links.pop(peripheral.path, None)
        if link is None:
            return
        peripheral.is_connected = False
        if link.carrier is not None:
            link.carrier.cancel()
        for each in link.characteristics:
            if each.path in peripheral.notifying:
                self._start(self._tell(peripheral, each, "StopNotify"))
        peripheral.notifying.clear()
        for path in {each.path.rpartition("/")[0] for each in link.characteristics}:
            self._objects.remove(path)
        self._objects.change(peripheral.path, DEVICE, {"ServicesResolved": False})
        self._objects.change(peripheral.path, DEVICE, {"Connected": False})

    async def answer(self, call: Message) -> Reply:
        """Answer a call to a characteristic; BusError if it is not connected."""
        link, characteristic = self._find(call)
        await _pass_air(link.peripheral)
        if call.member == "WriteValue":
            await self._write(link.peripheral, characteristic, call.body[0], call.body[1])
        elif call.member == "StartNotify":
            await self._tell(link.peripheral, characteristic, "StartNotify")
            link.peripheral.notifying.add(characteristic.path)
        elif call.member == "StopNotify":
            link.peripheral.notifying.discard(characteristic.path)
            await self._tell(link.peripheral, characteristic, "StopNotify")
        else:
            raise BusError(f"{BUS}.Error.UnknownMethod", f"{call.member} is not played here")
        return "", []

    def notify(self, peripheral: Peripheral, signal: Message) -> None:
        """Take a value that a phone notifies."""
        link = self._links.get(peripheral.path)
        value = unpack_variants(signal.body[1]).get("Value")
        if link is None or value is None:
            return
        for each in link.characteristics:
            if each.own_path == signal.path and each.path in peripheral.notifying:
                link.notified.put_nowait((each, bytes(value)))

    async def _carry(self, link: _Link) -> None:
        peripheral = link.peripheral
        while True:
            characteristic, value = await link.notified.get()
            await _pass_air(peripheral)
            if self._is_lost_with(peripheral, value):
                return
            cut = value[: peripheral.conditions.mtu - ATT_HEADER_BYTES]
            self._objects.change(characteristic.path, CHARACTERISTIC, {"Value": cut})

    async def _write(
        self,
        peripheral: Peripheral,
        characteristic: Characteristic,
        value: bytes,
        options: dict[str, Variant],
    ) -> None:
        mtu = peripheral.conditions.mtu
        kind = options["type"].value if "type" in options else "request"
        if kind == "command" and len(value) > mtu - ATT_HEADER_BYTES:
            raise BusError("org.bluez.Error.Failed", "Operation failed with ATT error: 0x0d")
        if self._is_lost_with(peripheral, value):
            raise BusError("org.bluez.Error.Failed", "Not connected")
        told = {"device": Variant("o", peripheral.path), "mtu": Variant("q", mtu)}
        await self._tell(peripheral, characteristic, "WriteValue", "aya{sv}", [value, told])

    def _is_lost_with(self, peripheral: Peripheral, value: bytes) -> bool:
        """Carry a value to whoever listens; True if it is the one at which the link is lost."""
        for listener in self.listeners:
            listener(value)
        peripheral.carried_bytes += len(value)
        limit = peripheral.conditions.drop
        if not 0 < limit < peripheral.carried_bytes:
            return False
        self.lose(peripheral)
        return True

    async def _tell(
        self,
        peripheral: Peripheral,
        characteristic: Characteristic,
        member: str,
        signature: str = "",
        body: list[Any] | None = None,
    ) -> None:
        call = Message(
            path=characteristic.own_path, interface=CHARACTERISTIC, member=member,
            signature=signature, body=body or [], flags=MessageFlag.NONE,
        )  # fmt: skip
        try:
            await self._call(peripheral.client, call)
        except BusError:
            if member != "StopNotify":  # it may have left for good
                raise

    def _find(self, call: Message) -> tuple[_Link, Characteristic]:
        for link in self._links.values():
            for each in link.characteristics:
                if each.path == call.path and call.interface == CHARACTERISTIC:
                    return link, each
        raise BusError(f"{BUS}.Error.UnknownObject", f"there is no {call.path}")

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


async def _pass_air(peripheral: Peripheral) -> None:
    if peripheral.conditions.air_ms:
        await asyncio.sleep(peripheral.conditions.air_ms / 1000)
