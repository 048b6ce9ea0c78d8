"""A program that offers one GATT service through bluetoothd, as a phone's app does on its system.

Nothing in it knows the simulated air: registered with a real bluetoothd it makes that machine a
phone. Used by `ble_field`. Source: BlueZ 5, doc/org.bluez.{GattManager,GattCharacteristic,
LEAdvertisingManager,LEAdvertisement}.rst.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dbus_fast import BusType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus

from kessai.ble_profile import (
    ATT_HEADER_BYTES,
    CLIENT_TO_SERVER,
    MAX_VALUE_BYTES,
    SERVER_TO_CLIENT,
    STATE,
)

APPLICATION = "/kessai"
ADVERTISEMENT = "/kessai/advertisement"

_SERVICE = "/kessai/service"
_PATHS = {
    f"{_SERVICE}/state": (STATE, ["write-without-response", "notify"]),
    f"{_SERVICE}/to_server": (CLIENT_TO_SERVER, ["write-without-response"]),
    f"{_SERVICE}/to_client": (SERVER_TO_CLIENT, ["notify"]),
}
_DEFAULT_MTU = 23
_MAX_UNREAD = 32
_PROPERTIES = "org.freedesktop.DBus.Properties"
_CHARACTERISTIC = "org.bluez.GattCharacteristic1"


class BluetoothRefused(Exception):
    """The bus or bluetoothd did not do what was asked."""


class GattServer:
    """The service on the bus; `on_value` gets what a central writes to a characteristic."""

    def __init__(
        self, service_uuid: str, on_value: Callable[[str, bytes], None], on_lost: Callable[[], None]
    ) -> None:
        self._service_uuid = service_uuid
        self._on_value, self._on_lost = on_value, on_lost
        self._bus = MessageBus(bus_type=BusType.SYSTEM)
        self._adapter = ""
        self._mtu = _DEFAULT_MTU
        self._unread = 0

    @property
    def value_bytes(self) -> int:
        """How long a notification may be."""
        return min(self._mtu - ATT_HEADER_BYTES, MAX_VALUE_BYTES)

    async def open(self, adapter: str, options: dict[str, Variant]) -> None:
        """Register with an adapter, and advertise; OSError if there is no bus."""
        self._adapter = f"/org/bluez/{adapter}"
        await self._bus.connect()
        self._bus.add_message_handler(self._answer)
        await self._call("GattManager1", "RegisterApplication", "oa{sv}", [APPLICATION, {}])
        body = [ADVERTISEMENT, options]
        await self._call("LEAdvertisingManager1", "RegisterAdvertisement", "oa{sv}", body)

    async def notify(self, uuid: str, value: bytes) -> None:
        """Notify the central of a value; waits when the bus is behind with reading."""
        self._unread += 1
        if self._unread >= _MAX_UNREAD:
            # dbus-fast gives the connection up when the socket is full; nobody confirms a signal.
            await self._bus.call(_any_question())
            self._unread = 0
        path = next(path for path, (own, _) in _PATHS.items() if own == uuid)
        body = [_CHARACTERISTIC, {"Value": Variant("ay", value)}, []]
        self._bus.send(Message.new_signal(path, _PROPERTIES, "PropertiesChanged", "sa{sv}as", body))

    async def stop_advertising(self) -> None:
        """Be heard no more."""
        manager = "LEAdvertisingManager1"
        await self._call(manager, "UnregisterAdvertisement", "o", [ADVERTISEMENT])

    def close(self) -> None:
        """Leave the bus: bluetoothd then forgets the service."""
        self._bus.disconnect()

    async def wait_until_closed(self) -> None:
        """Wait until the bus is gone, by itself or by `close`."""
        await self._bus.wait_for_disconnect()  # type: ignore[no-untyped-call]

    async def _call(self, manager: str, member: str, signature: str, body: list[Any]) -> None:
        call = Message(
            destination="org.bluez", path=self._adapter, interface=f"org.bluez.{manager}",
            member=member, signature=signature, body=body,
        )  # fmt: skip
        reply = await self._bus.call(call)
        if reply.message_type is MessageType.ERROR:
            raise BluetoothRefused(f"{member}: {reply.error_name} {reply.body}")

    def _answer(self, call: Message) -> Message | bool | None:
        if call.message_type is not MessageType.METHOD_CALL:
            return None
        if (call.path, call.member) == (APPLICATION, "GetManagedObjects"):
            return Message.new_method_return(call, "a{oa{sa{sv}}}", [self._objects()])
        if (call.path, call.member) == (ADVERTISEMENT, "GetAll"):
            return Message.new_method_return(call, "a{sv}", [self._about_advertisement()])
        if call.interface == _CHARACTERISTIC and call.path in _PATHS:
            self._serve(call)
            return Message.new_method_return(call)
        return None  # dbus-fast says that there is no such method

    def _serve(self, call: Message) -> None:
        uuid, _ = _PATHS[call.path or ""]
        if call.member == "WriteValue":
            value, options = call.body
            self._mtu = options["mtu"].value if "mtu" in options else self._mtu
            self._on_value(uuid, bytes(value))
        elif call.member == "StopNotify" and uuid == SERVER_TO_CLIENT:
            self._on_lost()

    def _objects(self) -> dict[str, Any]:
        about = {"UUID": Variant("s", self._service_uuid), "Primary": Variant("b", True)}
        objects: dict[str, Any] = {_SERVICE: {"org.bluez.GattService1": about}}
        for path, (uuid, flags) in _PATHS.items():
            objects[path] = {_CHARACTERISTIC: {
                "UUID": Variant("s", uuid), "Service": Variant("o", _SERVICE),
                "Flags": Variant("as", flags),
            }}  # fmt: skip
        return objects

    def _about_advertisement(self) -> dict[str, Variant]:
        return {
            "Type": Variant("s", "peripheral"),
            "ServiceUUIDs": Variant("as", [self._service_uuid]),
        }


def _any_question() -> Message:
    """Ask the bus something whose answer shows that it has read all that was sent before."""
    return Message(
        destination="org.freedesktop.DBus", path="/org/freedesktop/DBus",
        interface="org.freedesktop.DBus", member="GetNameOwner", signature="s", body=["org.bluez"],
    )  # fmt: skip
