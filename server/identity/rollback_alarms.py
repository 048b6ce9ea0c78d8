"""Alarms of devices that have seen more than this switch has: its books or directory went back.

Raised when a device shows a receipt whose place in the log is gone or differs, or has a newer deny
list than the switch; and when a terminal's own journal went back. Kept in memory, because every
device asks again when it connects; told once each in the log, and shown beside the device and in
the metrics. An alarm ends when the device finds all in place again, or is told of a restore that an
operator accepted (`kessai restore`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NamedTuple

import structlog

from kessai.v1.fleet_pb2 import ROLLBACK_KIND_JOURNAL, RollbackAlarm, RollbackKind

# More devices than that tell the same story.
MAX_ALARMS = 10_000

_OURS = "this switch's data went back: a device has seen more; keep the folder as it is"
_JOURNAL = "a terminal's journal went back: payments that it accepted alone may be gone"

log = structlog.get_logger("rollback")


class _Key(NamedTuple):
    device: str
    kind: RollbackKind.ValueType


class RollbackAlarms:
    """The alarms that stand. Methods may run in any thread."""

    def __init__(self, now_us: Callable[[], int]) -> None:
        self._now_us = now_us
        self._lock = threading.Lock()
        self._standing: dict[_Key, RollbackAlarm] = {}
        self._told: set[tuple[str, int]] = set()

    def sound(self, device: str, kind: RollbackKind.ValueType, place: int, shard: int = 0) -> None:
        """Raise an alarm: the row, or the version of the list, that the device has seen."""
        key = _Key(device, kind)
        with self._lock:
            if key in self._standing or len(self._standing) >= MAX_ALARMS:
                return
            alarm = RollbackAlarm(kind=kind, shard=shard, place=place)
            alarm.raise_time.FromMicroseconds(self._now_us())
            self._standing[key] = alarm
        log.error(
            _JOURNAL if kind == ROLLBACK_KIND_JOURNAL else _OURS,
            device=device, kind=RollbackKind.Name(kind), shard=shard, place=place,
        )  # fmt: skip

    def end(self, device: str, kind: RollbackKind.ValueType) -> None:
        """End a device's alarm, if there is one: it found all in place."""
        with self._lock:
            ended = self._standing.pop(_Key(device, kind), None)
        if ended is not None:
            log.info("a device finds all in place again", device=device)

    def tell_accepted(self, device: str, place: int, shard: int) -> None:
        """Tell once of a device that lost a row in a restore which an operator accepted.

        It is no alarm: the device is told, and begins anew.
        """
        with self._lock:
            if (device, shard) in self._told or len(self._told) >= MAX_ALARMS:
                return
            self._told.add((device, shard))
        log.warning(
            "a device has seen what the accepted restore lost; it was told, and begins anew",
            device=device, shard=shard, place=place,
        )  # fmt: skip

    def of(self, device: str) -> list[RollbackAlarm]:
        """The alarms of one device."""
        kinds = (kind for kind in RollbackKind.values())
        found = (self._standing.get(_Key(device, kind)) for kind in kinds)
        return [alarm for alarm in found if alarm is not None]

    def count(self) -> int:
        """How many alarms stand."""
        return len(self._standing)
