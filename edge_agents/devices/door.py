"""What an entrance asks of a door, whatever drives it; and what is shown to who stands before it.

Drivers: `osdp_door`, `modbus_door`. Used by `entrance`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from edge_agents.devices.serial_line import DeviceLost


class NotUnlocked(DeviceLost):
    """The door was lost before it was told anything: it stayed shut."""


@dataclass(frozen=True, slots=True)
class Sign:
    """What a person is shown: yes or no, and a line of text."""

    is_good: bool
    text: str


class Door(Protocol):
    """A door on a serial line. `open` and `close` are those of the line, as of every device."""

    name: str

    @property
    def is_ready(self) -> bool:
        """Tell whether it answers, and can be opened."""
        ...

    @property
    def stands_open(self) -> bool:
        """Tell whether it stands open, as it said last."""
        ...

    @property
    def faults(self) -> list[str]:
        """The faults that it reports, in words."""
        ...

    @property
    def openings(self) -> int:
        """How often somebody opened it to go in."""
        ...

    def open(self) -> None:
        """Open the line and call the door; Complaint if the device is missing."""
        ...

    def close(self) -> None:
        """Close the line, if it is open; the door stays as it is."""
        ...

    async def check(self) -> None:
        """Look after it while nobody goes in; DeviceLost if it has gone, or never answered."""
        ...

    async def unlock(self, seconds: float, persons: int) -> None:
        """Let some persons in, for some seconds.

        NotUnlocked if it was not even told; DeviceLost if nobody knows whether it did.
        """
        ...

    async def show(self, sign: Sign, seconds: float) -> None:
        """Show a sign, as far as the door has lamps and text; DeviceLost if it has gone."""
        ...

    async def wait_for_opening(self, openings: int, timeout_s: float) -> bool:
        """Wait until it was opened more often than so, counted before it was unlocked.

        False: not in time. DeviceLost if the door goes meanwhile.
        """
        ...

    async def wait_until_shut(self, timeout_s: float) -> bool:
        """Wait until all are in and it is shut; False: not in time. DeviceLost as above."""
        ...
