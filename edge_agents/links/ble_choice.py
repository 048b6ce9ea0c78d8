"""Which phone is it? The choice among all that advertise the code of this terminal.

Several may: a neighbour's customer mistyped, or somebody repeats what he heard. The near one is
chosen if it is clearly the nearest; else none is. Pure; used by `ble_radio`.
"""

from __future__ import annotations

import statistics
from collections import deque
from dataclasses import dataclass, field

from bleak.backends.device import BLEDevice

# An advertisement says for so long that the phone is there; they come several times a second.
FRESH_S = 1.5
# Signals of one phone differ by some 6 dB from one advertisement to the next.
CLEARLY_NEARER_DB = 10
SHUN_S = 2.0

_MEDIAN_OF = 5


class Ambiguous(Exception):
    """Several phones have the code, and none is clearly the nearest."""


@dataclass(slots=True)
class _Sighting:
    device: BLEDevice
    last_s: float
    signals: deque[int] = field(default_factory=lambda: deque(maxlen=_MEDIAN_OF))


class Sightings:
    """The phones that were heard lately; times in seconds on any clock that only goes on."""

    def __init__(self, min_rssi: int) -> None:
        """Leave out what is received with less than `min_rssi` dBm."""
        self._min_rssi = min_rssi
        self._heard: dict[str, _Sighting] = {}
        self._shunned: dict[str, float] = {}
        self.last_s: float | None = None
        """When a phone was last heard that is near enough."""

    def hear(self, device: BLEDevice, rssi: int, now_s: float) -> None:
        """Take an advertisement."""
        sighting = self._heard.setdefault(device.address, _Sighting(device, now_s))
        sighting.device, sighting.last_s = device, now_s
        sighting.signals.append(rssi)
        if rssi >= self._min_rssi:
            self.last_s = now_s

    def shun(self, device: BLEDevice, now_s: float) -> None:
        """Leave a phone out for a while: no link to it came about."""
        self._shunned[device.address] = now_s + SHUN_S

    def is_shunned(self, address: str, now_s: float) -> bool:
        """Tell whether a phone is left out now."""
        return self._shunned.get(address, now_s) > now_s

    def choose(self, now_s: float) -> BLEDevice | None:
        """Give the phone to connect to, if there is one; Ambiguous if nobody can say which."""
        near = [
            (statistics.median(each.signals), address, each.device)
            for address, each in self._heard.items()
            if now_s - each.last_s <= FRESH_S and not self.is_shunned(address, now_s)
        ]
        near = sorted((one for one in near if one[0] >= self._min_rssi), reverse=True)
        if len(near) > 1 and near[0][0] - near[1][0] < CLEARLY_NEARER_DB:
            raise Ambiguous(f"{len(near)} phones have the code, and none is clearly the nearest")
        return near[0][2] if near else None
