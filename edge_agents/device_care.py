"""Devices that come and go: waits until an unplugged one is back, so that the daemon lives on.

Used by everything in an agent that drives a device on a line.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from edge_agents.events import Events
from kessai.complaint import Complaint

REOPEN_EVERY_S = 0.5


class Device(Protocol):
    """A device on a line, as every driver offers it."""

    name: str

    def open(self) -> None:
        """Open the line; Complaint if the device is missing."""
        ...

    def close(self) -> None:
        """Close the line, if it is open."""
        ...


async def wait_until_back(device: Device, lost: Complaint, events: Events) -> None:
    """Tell that a device was lost, and open it again as soon as it is there."""
    events.emit("device_lost", device=device.name, why=str(lost))
    device.close()
    while True:
        try:
            device.open()
        except Complaint:
            device.close()
            await asyncio.sleep(REOPEN_EVERY_S)
        else:
            events.emit("device_back", device=device.name)
            return
