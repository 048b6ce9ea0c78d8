"""A phone in the air: what its program registered with bluetoothd, and how its radio fares.

`bluetoothd` makes one for each program that advertises. The conditions come with the registration,
in the options that BlueZ keeps for future use, so a real bluetoothd passes over them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from dbus_fast import Variant, unpack_variants

from simulators.air.objects import CHARACTERISTIC, SERVICE

MIN_MTU = 23


@dataclass(frozen=True, slots=True)
class Conditions:
    """How a phone is heard, and what befalls its link."""

    rssi: int = -50
    """How strongly it is received, in dBm."""
    mtu: int = 247
    """The ATT MTU that is agreed on, 23 to 517 bytes."""
    air_ms: int = 0
    """How long each value is in the air, in milliseconds."""
    drop: int = 0
    """The link is lost once for good after so many bytes; 0 for never."""
    refuse: bool = False
    """No connection comes about."""
    vanish: bool = False
    """It is gone as soon as somebody wants to connect."""

    def to_options(self) -> dict[str, Variant]:
        """Write them for RegisterAdvertisement."""
        return {
            each.name: Variant("b" if each.type == "bool" else "i", getattr(self, each.name))
            for each in fields(self)
        }

    @classmethod
    def from_options(cls, options: dict[str, Variant]) -> Conditions:
        """Read them; what is missing is as it usually is."""
        given: dict[str, Any] = unpack_variants(options)
        return cls(**{each.name: given[each.name] for each in fields(cls) if each.name in given})


@dataclass(frozen=True, slots=True)
class Characteristic:
    """One characteristic of a phone's program: where it is there, and below its device here."""

    uuid: str
    flags: list[str]
    own_path: str
    path: str


@dataclass(slots=True)
class Peripheral:
    """A phone: `client` is its program's name on the bus, `path` its device object."""

    client: str
    path: str
    address: str
    services: list[str]
    conditions: Conditions
    application: dict[str, Any]
    is_connected: bool = False
    is_gone: bool = False
    carried_bytes: int = 0
    notifying: set[str] = field(default_factory=set)

    def gatt_objects(self) -> tuple[dict[str, dict[str, dict[str, Any]]], list[Characteristic]]:
        """Lay its services out below its device: the objects, and the characteristics in them."""
        objects: dict[str, dict[str, dict[str, Any]]] = {}
        characteristics: list[Characteristic] = []
        places: dict[str, str] = {}
        handle = 0x10
        for own_path, interfaces in sorted(self.application.items()):
            if SERVICE in interfaces:
                places[own_path] = path = f"{self.path}/service{handle:04x}"
                uuid = interfaces[SERVICE]["UUID"]
                objects[path] = {SERVICE: {"UUID": uuid, "Primary": True, "Device": self.path}}
            elif CHARACTERISTIC in interfaces:
                about = interfaces[CHARACTERISTIC]
                service = places[about["Service"]]
                path = f"{service}/char{handle:04x}"
                each = Characteristic(about["UUID"], about["Flags"], own_path, path)
                characteristics.append(each)
                objects[path] = {CHARACTERISTIC: _shown(each, service, self.conditions.mtu)}
            handle += 2
        return objects, characteristics


def _shown(each: Characteristic, service: str, mtu: int) -> dict[str, Any]:
    return {
        "UUID": each.uuid, "Service": service, "Flags": each.flags,
        "Notifying": False, "Value": b"", "MTU": mtu,
    }  # fmt: skip
