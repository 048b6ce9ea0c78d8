"""Watching over an entrance's door: one that went away is called again, and waited for a moment.

A person stands before it meanwhile, so a reader that was lost for a second turns nobody away. Used
by `entrance`.
"""

from __future__ import annotations

import asyncio
import contextlib

from edge_agents.device_care import wait_until_back
from edge_agents.devices.door import Door, NotUnlocked
from edge_agents.devices.serial_line import DeviceLost
from edge_agents.events import Events
from kessai.complaint import Complaint

CHECK_S = 0.5
PATIENCE_S = 2.0
LOOK_S = 0.05


class DoorWatch:
    """The door of one entrance. Whoever lets in holds `in_use` meanwhile."""

    def __init__(self, door: Door, events: Events, patience_s: float = PATIENCE_S) -> None:
        self._door, self._events, self._patience_s = door, events, patience_s
        self._works = asyncio.Event()
        self._works_by = asyncio.get_running_loop().time() + patience_s
        self._told: list[str] = []
        self.in_use = asyncio.Lock()

    async def run(self) -> None:
        """Watch, for ever."""
        while True:
            try:
                await self._door.check()
                self._note(self._door.is_ready)
                self._tell_faults(self._door.faults)
            except DeviceLost as lost:
                await self._bring_back(lost)
            await asyncio.sleep(CHECK_S)

    async def is_ready(self) -> bool:
        """Tell whether it can let in; one that has just gone is waited for."""
        self._note(self._door.is_ready)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(self._works_by):
                await self._works.wait()
        return self._works.is_set()

    async def unlock(self, seconds: float, persons: int) -> None:
        """Unlock as `Door.unlock`; a door that was not even told is called and told once more."""
        try:
            await self._door.unlock(seconds, persons)
        except NotUnlocked:
            if not await self._call_again():
                raise
            await self._door.unlock(seconds, persons)

    def _note(self, is_ready: bool) -> None:
        if is_ready and not self._works.is_set():
            self._events.emit("door_ready")
            self._works.set()
        elif not is_ready and self._works.is_set():
            self._events.emit("door_not_ready")
            self._works.clear()
            self._works_by = asyncio.get_running_loop().time() + self._patience_s

    def _tell_faults(self, faults: list[str]) -> None:
        for fault in faults:
            if fault not in self._told:
                self._events.emit("door_fault", device=self._door.name, why=fault)
        for fault in self._told:
            if fault not in faults:
                self._events.emit("door_fault_over", device=self._door.name, why=fault)
        self._told = faults

    async def _bring_back(self, lost: DeviceLost) -> None:
        self._note(False)
        async with self.in_use:
            if not self._door.is_ready:
                await wait_until_back(self._door, lost, self._events)

    async def _call_again(self) -> bool:
        self._door.close()
        try:
            self._door.open()
            async with asyncio.timeout(self._patience_s):
                while not self._door.is_ready:
                    await asyncio.sleep(LOOK_S)
                    await self._door.check()
        except (Complaint, TimeoutError):
            return False
        return True
