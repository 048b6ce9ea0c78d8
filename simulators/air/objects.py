"""The objects that bluetoothd shows on the bus, with their properties, and the signals about them.

Used by `bluetoothd` and `links`. Names and signatures are those of BlueZ 5 (doc/org.bluez.*.rst),
the signals those of the D-Bus specification, sections ObjectManager and Properties.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dbus_fast import Message, Variant

ADAPTER = "org.bluez.Adapter1"
ADVERTISING_MANAGER = "org.bluez.LEAdvertisingManager1"
ADVERTISEMENT = "org.bluez.LEAdvertisement1"
GATT_MANAGER = "org.bluez.GattManager1"
DEVICE = "org.bluez.Device1"
SERVICE = "org.bluez.GattService1"
CHARACTERISTIC = "org.bluez.GattCharacteristic1"
OBJECT_MANAGER = "org.freedesktop.DBus.ObjectManager"
PROPERTIES = "org.freedesktop.DBus.Properties"

MANAGED = "a{oa{sa{sv}}}"

_SIGNATURES = {
    "Address": "s", "AddressType": "s", "Alias": "s", "Powered": "b", "Discovering": "b",
    "Roles": "as", "UUIDs": "as", "Paired": "b", "Connected": "b", "Trusted": "b",
    "ServicesResolved": "b", "Adapter": "o", "RSSI": "n", "UUID": "s", "Primary": "b",
    "Device": "o", "Service": "o", "Value": "ay", "Flags": "as", "Notifying": "b", "MTU": "q",
    "Name": "s", "Blocked": "b", "LegacyPairing": "b",
}  # fmt: skip

Properties = dict[str, Any]
Interfaces = dict[str, Properties]


class ObjectTree:
    """The objects by path; every change is announced."""

    def __init__(self, announce: Callable[[Message], None]) -> None:
        self._announce = announce
        self._objects: dict[str, Interfaces] = {}

    def __contains__(self, path: str) -> bool:
        return path in self._objects

    def add(self, path: str, interfaces: Interfaces) -> None:
        """Add an object."""
        self._objects[path] = interfaces
        self._signal("/", OBJECT_MANAGER, "InterfacesAdded", "oa{sa{sv}}",
                     [path, _variants(interfaces)])  # fmt: skip

    def remove(self, path: str) -> None:
        """Remove an object and all below it; nothing if it is not there."""
        below = [other for other in self._objects if other.startswith(f"{path}/")]
        for each in [*reversed(below), path]:
            interfaces = self._objects.pop(each, None)
            if interfaces is not None:
                self._signal("/", OBJECT_MANAGER, "InterfacesRemoved", "oas",
                             [each, list(interfaces)])  # fmt: skip

    def change(self, path: str, interface: str, changed: Properties) -> None:
        """Change properties of an object; nothing if it is not there."""
        if path in self._objects:
            self._objects[path][interface].update(changed)
            self._signal(path, PROPERTIES, "PropertiesChanged", "sa{sv}as",
                         [interface, _variants({interface: changed})[interface], []])  # fmt: skip

    def managed(self) -> dict[str, Any]:
        """Give all objects, as GetManagedObjects does."""
        return {path: _variants(interfaces) for path, interfaces in self._objects.items()}

    def _signal(
        self, path: str, interface: str, member: str, signature: str, body: list[Any]
    ) -> None:
        self._announce(Message.new_signal(path, interface, member, signature, body))


def _variants(interfaces: Interfaces) -> dict[str, dict[str, Variant]]:
    return {
        interface: {name: Variant(_SIGNATURES[name], value) for name, value in properties.items()}
        for interface, properties in interfaces.items()
    }
