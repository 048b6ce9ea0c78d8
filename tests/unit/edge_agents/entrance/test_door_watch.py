"""A door that goes and comes back: what is waited for, and for how long."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator

import pytest

from edge_agents.devices.door import NotUnlocked
from edge_agents.devices.modbus_door import ModbusDoor
from edge_agents.entrance.door_watch import DoorWatch
from edge_agents.events import Events
from simulators.devices.barrier import BarrierFault, SimulatedBarrier

LIMIT_S, PATIENCE_S = 20.0, 1.5


@pytest.fixture
async def watch(board: SimulatedBarrier) -> AsyncIterator[DoorWatch]:
    """Watch a door that works; who watches runs."""
    door = ModbusDoor(str(board.line.path))
    door.open()
    made = DoorWatch(door, Events(lambda: 0, io.StringIO()), PATIENCE_S)
    running = asyncio.create_task(made.run())
    assert await made.is_ready()
    yield made
    running.cancel()
    await asyncio.wait([running])
    door.close()


async def test_a_moment_without_an_answer(board: SimulatedBarrier, watch: DoorWatch) -> None:
    """Who comes meanwhile is let in a little later; the order is given once more."""
    board.set_fault(BarrierFault.SILENT)
    unlocking = asyncio.create_task(watch.unlock(LIMIT_S, 1))
    await asyncio.sleep(PATIENCE_S / 4)
    assert not unlocking.done()
    board.set_fault(BarrierFault.NONE)
    await unlocking
    assert board.openings == 1
    assert await watch.is_ready()


async def test_a_door_that_stays_away(board: SimulatedBarrier, watch: DoorWatch) -> None:
    """It was not told anything; who comes later does not wait for it."""
    loop = asyncio.get_running_loop()
    board.line.unplug()
    with pytest.raises(NotUnlocked):
        await watch.unlock(LIMIT_S, 1)
    assert not await watch.is_ready()
    begun = loop.time()
    assert not await watch.is_ready()
    assert loop.time() - begun < PATIENCE_S / 2
    board.line.plug()
    for _ in range(400):
        if await watch.is_ready():
            return
        await asyncio.sleep(0.05)
    pytest.fail("it was not called again")
