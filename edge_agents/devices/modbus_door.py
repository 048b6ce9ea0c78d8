"""A door behind a Modbus RTU board: a turnstile or a barrier, as gates have (mission row B10).

The board is that of `barrier`, whose driver does the talking. It lets in as many as come with the
ticket, counts them, and shuts. It has neither lamp nor text: the phone shows what is said. Used by
`entrance` with `door_protocol = "modbus"`.
"""

from __future__ import annotations

import asyncio

from edge_agents.devices.barrier import (
    Barrier,
    BarrierState,
    CounterRestarted,
    passed_between,
)
from edge_agents.devices.door import NotUnlocked, Sign
from edge_agents.devices.serial_line import DeviceLost

BAUDRATE = 9_600
READY_S = 5.0
LOOK_S = 0.05


class ModbusDoor:
    """A door on a serial line; see `door.Door`."""

    name = "door"

    def __init__(self, path: str, baudrate: int = BAUDRATE, unit: int = 1) -> None:
        """Drive the board with Modbus address `unit`, 1 to 247."""
        self._board = Barrier(path, baudrate, unit, self.name)
        self._state: BarrierState | None = None
        self._ready_by = 0.0
        self._lets_in = False
        self._is_opened = False
        self._passages = self._passed = self._persons = 0
        self.openings = 0
        self._until = 0.0

    @property
    def is_ready(self) -> bool:
        """Tell whether the board answers and is not jammed."""
        return self._state is not None and not self._state.is_jammed

    @property
    def stands_open(self) -> bool:
        """Tell whether it stands open."""
        return self._state is not None and self._state.is_open

    @property
    def faults(self) -> list[str]:
        """The faults that the board reports."""
        is_jammed = self._state is not None and self._state.is_jammed
        return ["the turnstile is jammed"] if is_jammed else []

    def open(self) -> None:
        """Open the line; Complaint if the device is missing."""
        self._board.open()
        self._state, self._lets_in = None, False
        self._ready_by = asyncio.get_running_loop().time() + READY_S

    def close(self) -> None:
        """Close the line, if it is open; the door stays as it is."""
        self._state, self._ready_by = None, 0.0
        self._board.close()

    async def check(self) -> None:
        """Ask how it stands, and shut it if it is open for nobody, as after a restart."""
        was_ready = self._state is not None
        try:
            state = await self._board.read()
            if self._lets_in:
                return  # meanwhile; who lets in looks for himself
            if state.is_open:
                await self._board.shut()
            self._state = state
        except DeviceLost:
            self._state = None
            if was_ready or asyncio.get_running_loop().time() > self._ready_by:
                raise

    async def unlock(self, seconds: float, persons: int) -> None:
        """Let some persons in, for some seconds.

        NotUnlocked if the board does not answer; DeviceLost if it does not confirm the order.
        """
        self._lets_in = True
        try:
            self._passages, self._persons = await self._count(), persons
            self._is_opened, self._passed = False, 0
            await self._board.release()
        except DeviceLost:
            self._lets_in = False
            raise
        self._until = asyncio.get_running_loop().time() + seconds

    async def show(self, sign: Sign, seconds: float) -> None:
        """Show nothing: the board has no lamp."""

    async def wait_for_opening(self, openings: int, timeout_s: float) -> bool:
        """Wait until the first one goes in; False: nobody did in time, and it is shut again.

        DeviceLost if the board does not answer meanwhile, or restarted: nobody knows then.
        """
        deadline = min(self._until, asyncio.get_running_loop().time() + timeout_s)
        state = await self._look()
        while self.openings <= openings:
            if not state.is_open or asyncio.get_running_loop().time() > deadline:
                return await self._shut_for_nobody(openings)
            await asyncio.sleep(LOOK_S)
            state = await self._look()
        return True

    async def wait_until_shut(self, timeout_s: float) -> bool:
        """Wait until all went in, or their time is over, and it shut; False: it does not shut.

        DeviceLost as above.
        """
        loop = asyncio.get_running_loop()
        state = await self._look()
        while self._passed < self._persons and loop.time() < self._until:
            await asyncio.sleep(LOOK_S)
            state = await self._look()
        deadline = loop.time() + timeout_s
        await self._board.shut()
        while (state := await self._look()).is_open:
            if loop.time() > deadline:
                return False
            await asyncio.sleep(LOOK_S)
        self._state, self._lets_in = state, False
        return True

    async def _shut_for_nobody(self, openings: int) -> bool:
        await self._board.shut()
        await self._look()
        self._lets_in = self.openings > openings  # who slipped in meanwhile is in
        return self._lets_in

    async def _look(self) -> BarrierState:
        try:
            state = await self._board.read()
            self._count_passed(state)
        except DeviceLost:
            self._lets_in = False
            raise
        if self._passed and not self._is_opened:
            self._is_opened = True
            self.openings += 1
        return state

    async def _count(self) -> int:
        try:
            return (await self._board.read()).passages
        except DeviceLost as lost:
            raise NotUnlocked(self.name, lost.why) from None

    def _count_passed(self, state: BarrierState) -> None:
        before, self._passages = self._passages, state.passages
        persons = passed_between(before, state.passages)
        if persons is None:
            raise CounterRestarted(self.name, before, state.passages)
        self._passed += persons
