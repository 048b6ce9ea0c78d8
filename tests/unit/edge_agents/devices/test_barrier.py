"""The barrier's driver against a simulated board on a real line, and each of its faults."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from pymodbus.pdu import ModbusPDU

from edge_agents.devices.barrier import MOST_PASSED, Barrier, passed_between
from edge_agents.devices.serial_line import DeviceLost
from kessai.complaint import Complaint
from simulators.devices.barrier import BarrierFault, SimulatedBarrier, crc16

LIMIT_S = 20.0


@pytest.fixture
def barrier(board: SimulatedBarrier) -> Iterator[Barrier]:
    driver = Barrier(str(board.line.path))
    driver.open()
    yield driver
    driver.close()


def test_the_checksum_is_that_of_the_specification() -> None:
    """The example of Modbus over serial line, and a frame that every board is shipped with."""
    assert crc16(b"\x02\x07") == b"\x41\x12"
    assert crc16(bytes.fromhex("010300000001")) == bytes.fromhex("840a")


@pytest.mark.parametrize(
    ("before", "now", "persons"),
    [
        (0, 0, 0),
        (100, 101, 1),
        (65_535, 1, 2),
        (65_535, 0, 1),
        (100, 0, None),
        (100, 99, None),
        (3, 1, None),
        (0, MOST_PASSED, MOST_PASSED),
        (0, MOST_PASSED + 1, None),
    ],
)
def test_a_jump_that_cannot_be_is_a_restart(before: int, now: int, persons: int | None) -> None:
    """The count goes in a circle of 65,536; a board that begins again at 0 is no crowd."""
    assert passed_between(before, now) == persons


async def test_one_person(board: SimulatedBarrier, barrier: Barrier) -> None:
    assert not (await barrier.read()).is_open
    await barrier.release()
    assert (await barrier.read()).is_open
    assert board.walk_through()
    assert (await barrier.read()).passages == 1
    await barrier.shut()
    assert not board.is_open
    assert not board.walk_through()
    assert (await barrier.read()).passages == 1


async def test_two_who_ask_at_once_share_the_line(barrier: Barrier) -> None:
    """As a gate does when it has just started and the first phone is there already."""
    first, second = await asyncio.gather(barrier.read(), barrier.read())
    assert first == second


async def test_a_jam_is_told_and_nothing_moves(board: SimulatedBarrier, barrier: Barrier) -> None:
    board.set_fault(BarrierFault.JAM)
    await barrier.release()
    state = await barrier.read()
    assert (state.is_open, state.is_jammed) == (False, True)


async def test_who_is_to_stop_stops_even_as_an_answer_comes(barrier: Barrier) -> None:
    """pymodbus waits with asyncio.wait_for, which loses a cancellation then (until Python 3.12)."""
    await barrier.read()
    client = barrier._client
    assert client is not None

    async def ask_for_ever() -> None:
        while True:
            await barrier.read()

    def stop_once(is_sent: bool, pdu: ModbusPDU) -> ModbusPDU:
        if not is_sent:
            client.ctx.trace_pdu = lambda _, after: after
            asking.cancel()
        return pdu

    client.ctx.trace_pdu = stop_once
    asking = asyncio.create_task(ask_for_ever())
    done, _ = await asyncio.wait([asking], timeout=LIMIT_S)
    asking.cancel()
    assert done


@pytest.mark.parametrize("fault", [BarrierFault.SILENT, BarrierFault.GARBAGE], ids=str)
async def test_a_board_that_gives_no_answer(
    board: SimulatedBarrier, barrier: Barrier, fault: BarrierFault
) -> None:
    board.set_fault(fault)
    for call in (barrier.read, barrier.release, barrier.shut):
        with pytest.raises(DeviceLost):
            await call()
    board.set_fault(BarrierFault.NONE)
    assert (await barrier.read()).passages == 0


async def test_a_slow_board_is_waited_for(board: SimulatedBarrier, barrier: Barrier) -> None:
    board.set_fault(BarrierFault.SLOW)
    await barrier.release()
    assert board.is_open


async def test_a_board_that_is_unplugged_and_plugged_in_again(
    board: SimulatedBarrier, barrier: Barrier
) -> None:
    await barrier.read()
    board.line.unplug()
    with pytest.raises(DeviceLost):
        await barrier.read()
    barrier.close()
    with pytest.raises(Complaint, match="barrier"):
        barrier.open()
    board.line.plug()
    barrier.open()
    assert (await barrier.read()).passages == 0


async def test_another_unit_does_not_answer(board: SimulatedBarrier) -> None:
    """Two boards may share a line; a config that names the wrong one is noticed."""
    other = Barrier(str(board.line.path), unit=2)
    other.open()
    with pytest.raises(DeviceLost):
        await other.read()
    other.close()


async def test_a_closed_driver_says_so(board: SimulatedBarrier) -> None:
    with pytest.raises(DeviceLost, match="not open"):
        await Barrier(str(board.line.path)).read()
