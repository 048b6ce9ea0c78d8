"""The turnstile: one person per opening, and what people do that they should not.

Drives the barrier; tells the desk whether it can open at all, so that nobody pays before a barrier
that is jammed or unplugged. A board that went away is opened again when it is back.
"""

from __future__ import annotations

import asyncio
import contextlib

from edge_agents.device_care import REOPEN_EVERY_S
from edge_agents.devices.barrier import (
    Barrier,
    BarrierState,
    CounterRestarted,
    passed_between,
)
from edge_agents.devices.serial_line import DeviceLost
from edge_agents.events import Events
from kessai.complaint import Complaint

WATCH_S = 0.5
WALK_S = 0.05


class Turnstile:
    """The barrier of one gate, for one person at a time."""

    def __init__(self, barrier: Barrier, open_s: float, events: Events) -> None:
        """`open_s`: how long it waits for the person, in seconds."""
        self._barrier, self._open_s, self._events = barrier, open_s, events
        self._passages: int | None = None
        self._is_jammed = self._is_lost = False
        self._is_let_through = False

    async def can_open(self) -> bool:
        """Ask the barrier whether it answers and is not jammed; before anything is paid."""
        if self._is_lost:
            return False
        try:
            await self._watch()
        except DeviceLost:
            return False
        return not self._is_jammed

    async def release(self) -> None:
        """Open for one person; DeviceLost if it does not open."""
        self._is_let_through = True
        try:
            await self._barrier.release()
            state = await self._barrier.read()
            self._is_jammed = state.is_jammed
            if state.is_jammed or not state.is_open:
                raise DeviceLost(self._barrier.name, "it is jammed")
        except DeviceLost:
            self._is_let_through = False
            raise

    async def wait_for_person(self) -> int:
        """Wait until somebody passed, then shut; how many passed. 0: nobody did in time.

        DeviceLost if the barrier does not answer meanwhile, or restarted: nobody knows then.
        """
        loop, passed = asyncio.get_running_loop(), 0
        deadline = loop.time() + self._open_s
        try:
            while not passed and loop.time() < deadline:
                await asyncio.sleep(WALK_S)
                passed = self._count(await self._barrier.read())
            await self._barrier.shut()
            return passed + self._count(await self._barrier.read())
        finally:
            self._is_let_through = False

    async def run(self) -> None:
        """Watch the barrier while nobody passes, for ever."""
        while True:
            try:
                if not self._is_let_through:
                    await self._watch()
            except DeviceLost as lost:
                self._passages, self._is_lost = None, True
                await self._wait_until_back(lost)
                self._is_lost = False
            else:
                await asyncio.sleep(WATCH_S)

    async def _wait_until_back(self, lost: DeviceLost) -> None:
        """Wait until the board answers: a line that can be opened is not enough."""
        name = self._barrier.name
        self._events.emit("device_lost", device=name, why=str(lost))
        while True:
            self._barrier.close()
            await asyncio.sleep(REOPEN_EVERY_S)
            try:
                self._barrier.open()
                await self._barrier.read()
            except Complaint:
                continue
            self._events.emit("device_back", device=name)
            return

    async def shut(self) -> None:
        """Shut, if the barrier can; for when the gate stops."""
        with contextlib.suppress(DeviceLost):
            await self._barrier.shut()

    async def _watch(self) -> None:
        state = await self._barrier.read()
        if self._is_let_through:
            return  # meanwhile; who lets through looks for himself
        if state.is_open:
            await self._barrier.shut()  # for nobody: as after a restart
        if state.is_jammed and not self._is_jammed:
            self._events.emit("barrier_failed", why="it is jammed")
        elif self._is_jammed and not state.is_jammed:
            self._events.emit("device_back", device=self._barrier.name)
        self._is_jammed = state.is_jammed
        with contextlib.suppress(CounterRestarted):  # it is told; nobody was let through
            if forced := self._count(state):
                self._events.emit("forced", persons=forced)

    def _count(self, state: BarrierState) -> int:
        """How many passed since the last look; CounterRestarted, told, if nobody knows."""
        before, self._passages = self._passages, state.passages
        if before is None:
            return 0
        persons = passed_between(before, state.passages)
        if persons is None:
            self._events.emit("counter_restarted", before=before, now=state.passages)
            raise CounterRestarted(self._barrier.name, before, state.passages)
        return persons
