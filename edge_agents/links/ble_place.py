"""Where a BLE radio is, by moniker: which adapter on which bus, and what else is said about it.

    ble:hci0                       an adapter of this machine, through its bluetoothd
    ble:unix:path=/tmp/air         whatever answers as org.bluez at that D-Bus address
    ble:hci0,code=0417,rssi=-60    with a code that stays the same, and the least signal in dBm

Read by `radio`, and by phones in `simulators`, which know more options than a terminal.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass

BUS_VARIABLE = "DBUS_SYSTEM_BUS_ADDRESS"
DEFAULT_ADAPTER = "hci0"


@dataclass(frozen=True, slots=True)
class BlePlace:
    """An adapter, such as hci0; `bus` is a D-Bus address, empty for the machine's own bus."""

    adapter: str
    bus: str
    options: dict[str, str]

    def enter(self) -> None:
        """Make this process use the bus. bleak takes it from the environment, at every connection.

        So a process has one bus: the last that was entered.
        """
        if self.bus:
            os.environ[BUS_VARIABLE] = self.bus

    def number(self, name: str, default: int) -> int:
        """Read an option that is a whole number; ValueError if it is none."""
        return int(self.options.get(name, default))


def parse_place(text: str, known: Collection[str]) -> BlePlace:
    """Read what follows `ble:`; ValueError if it is none, or has an option that is not known."""
    where, *rest = text.split(",")
    options = dict(option.partition("=")[::2] for option in rest)
    unknown = options.keys() - set(known)
    if unknown:
        raise ValueError(f'"{min(unknown)}" is no option: {", ".join(known)}')
    if ":" in where:
        return BlePlace(DEFAULT_ADAPTER, where, options)
    if not where.startswith("hci") or not where[3:].isdecimal():
        raise ValueError("an adapter is named hci0, hci1, and so on")
    return BlePlace(where, "", options)
