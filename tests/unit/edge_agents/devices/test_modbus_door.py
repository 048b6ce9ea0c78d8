"""A turnstile as a door, against a simulated board on a real line, and each of its faults."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from edge_agents.devices.barrier import CounterRestarted
from edge_agents.devices.door import NotUnlocked
from edge_agents.devices.modbus_door import ModbusDoor
from edge_agents.devices.serial_line import DeviceLost
from kessai.complaint import Complaint
from simulators.devices.barrier import BarrierFault, SimulatedBarrier

LIMIT_S = 20.0


@pytest.fixture
async def door(board: SimulatedBarrier) -> AsyncIterator[ModbusDoor]:
    """A door that answers."""
    driver = ModbusDoor(str(board.line.path))
    driver.open()
    await driver.check()
    assert driver.is_ready
    yield driver
    driver.close()


async def test_two_go_in_and_it_shuts(board: SimulatedBarrier, door: ModbusDoor) -> None:
    """It stays open for the second, and not for a third."""
    await door.unlock(LIMIT_S, 2)
    assert board.walk_through()
    assert await door.wait_for_opening(0, LIMIT_S)
    assert board.is_open
    shut = asyncio.create_task(door.wait_until_shut(LIMIT_S))
    assert board.walk_through()
    assert await shut
    assert (board.is_open, door.stands_open) == (False, False)


async def test_the_board_restarts_while_it_lets_in(
    board: SimulatedBarrier, door: ModbusDoor
) -> None:
    """Nobody knows whether somebody went in; the next one is let in as ever."""
    board.restart(100)
    await door.unlock(LIMIT_S, 2)
    board.restart()
    with pytest.raises(CounterRestarted, match="100 had passed, now it says 0"):
        await door.wait_for_opening(0, LIMIT_S)
    await door.check()
    assert (door.openings, door.is_ready, board.is_open) == (0, True, False)
    await door.unlock(LIMIT_S, 1)
    board.walk_through()
    assert await door.wait_for_opening(0, LIMIT_S)
    assert await door.wait_until_shut(LIMIT_S)


async def test_the_count_goes_in_a_circle(board: SimulatedBarrier, door: ModbusDoor) -> None:
    """From 65,535 by 1 and 1 to 1: two went in, and it shuts."""
    board.restart(65_535)
    await door.unlock(LIMIT_S, 2)
    board.walk_through(2)
    assert await door.wait_for_opening(0, LIMIT_S)
    assert await door.wait_until_shut(LIMIT_S)
    assert not board.is_open


async def test_the_second_does_not_come(board: SimulatedBarrier, door: ModbusDoor) -> None:
    """When the time is over it shuts."""
    await door.unlock(0.3, 2)
    board.walk_through()
    assert await door.wait_for_opening(0, LIMIT_S)
    assert await door.wait_until_shut(LIMIT_S)
    assert not board.is_open


async def test_nobody_goes_in(board: SimulatedBarrier, door: ModbusDoor) -> None:
    """It is shut when that is told, so nobody can go in on an entry that is given back."""
    await door.unlock(0.2, 1)
    assert not await door.wait_for_opening(0, LIMIT_S)
    assert not board.is_open


async def test_a_check_while_somebody_goes_in(board: SimulatedBarrier, door: ModbusDoor) -> None:
    """It leaves the door open; one that is open for nobody is shut."""
    await door.unlock(LIMIT_S, 1)
    await door.check()
    assert board.is_open
    board.walk_through()
    assert await door.wait_for_opening(0, LIMIT_S)
    assert await door.wait_until_shut(LIMIT_S)
    again = ModbusDoor(str(board.line.path))
    await door.unlock(LIMIT_S, 1)
    door.close()
    again.open()
    await again.check()
    again.close()
    assert not board.is_open


async def test_a_jam(board: SimulatedBarrier, door: ModbusDoor) -> None:
    """It is not ready; one that jams when it is to open lets nobody in."""
    board.set_fault(BarrierFault.JAM)
    await door.unlock(LIMIT_S, 1)
    assert not await door.wait_for_opening(0, LIMIT_S)
    await door.check()
    assert not door.is_ready
    board.set_fault(BarrierFault.NONE)
    await door.check()
    assert door.is_ready


@pytest.mark.parametrize("fault", [BarrierFault.SILENT, BarrierFault.GARBAGE], ids=str)
async def test_a_board_that_gives_no_answer(
    board: SimulatedBarrier, door: ModbusDoor, fault: BarrierFault
) -> None:
    """Before it is told to open that is certain; afterwards it is not."""
    await door.unlock(LIMIT_S, 1)
    board.set_fault(fault)
    with pytest.raises(DeviceLost):
        await door.wait_for_opening(0, LIMIT_S)
    with pytest.raises(NotUnlocked, match="door"):
        await door.unlock(LIMIT_S, 1)
    with pytest.raises(DeviceLost):
        await door.check()
    assert not door.is_ready
    door.close()
    door.open()
    await door.check()  # it has some time to answer after it was opened
    assert not door.is_ready
    board.set_fault(BarrierFault.NONE)
    await door.check()
    assert door.is_ready


async def test_a_board_that_is_unplugged(board: SimulatedBarrier, door: ModbusDoor) -> None:
    board.line.unplug()
    with pytest.raises(DeviceLost):
        await door.check()
    door.close()
    with pytest.raises(Complaint, match="door"):
        door.open()
    board.line.plug()
    door.open()
    await door.check()
    assert door.is_ready
