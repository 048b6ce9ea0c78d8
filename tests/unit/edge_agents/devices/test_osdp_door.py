"""The OSDP driver against libosdp's own reader on a pty: what it does, and what can go wrong."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from osdp import StatusReportType

from edge_agents.devices.door import NotUnlocked, Sign
from edge_agents.devices.osdp_door import OsdpDoor
from edge_agents.devices.osdp_reports import CONTACT_FAULT, POWER, READER_AWAY, TAMPER
from edge_agents.devices.serial_line import DeviceLost
from kessai.complaint import Complaint
from simulators.devices.osdp_door import SimulatedDoor

KEY = bytes(range(16))
LIMIT_S = 20.0
READY_S = 2.0


@pytest.fixture
def simulated(tmp_path: Path) -> Iterator[SimulatedDoor]:
    door = SimulatedDoor(tmp_path / "door", KEY)
    yield door
    door.close()


@pytest.fixture
async def door(simulated: SimulatedDoor) -> OsdpDoor:
    return OsdpDoor(str(simulated.line.path), KEY, ready_s=READY_S)


async def ready(door: OsdpDoor) -> None:
    """Open it, and wait until its reader answers."""
    door.open()
    async with asyncio.timeout(LIMIT_S):
        while not door.is_ready:
            await door.check()
            await asyncio.sleep(0.02)


async def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds of a door."""
    deadline = time.monotonic() + LIMIT_S
    while not holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def lost(door: OsdpDoor) -> str:
    """Wait until the driver says that the door was lost; why."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            try:
                await door.check()
            except DeviceLost as gone:
                return str(gone)
            await asyncio.sleep(0.05)


async def test_a_person_goes_through(door: OsdpDoor, simulated: SimulatedDoor) -> None:
    """The lock clicks, the light is green, the contact says when the door was open and shut."""
    await ready(door)
    await door.unlock(2.0)
    await door.show(Sign(True, "Welcome"), 2.0)
    assert await door.wait_for_opening(0, LIMIT_S)
    seen = simulated.wait_for(lambda v: v.persons == 1 and v.text == "Welcome")
    assert (seen.light, seen.beeps, seen.unlocked_times) == ("green", 1, 1)
    assert await door.wait_until_shut(LIMIT_S)
    await door.show(Sign(False, "Used"), 1.0)
    assert simulated.wait_for(lambda v: v.text == "Used").light == "red"
    simulated.wait_for(lambda v: not v.is_unlocked)
    door.close()


async def test_an_opening_that_is_over_was_seen(door: OsdpDoor, simulated: SimulatedDoor) -> None:
    """Who is quick is through before anybody waits for it; the next opening is another one."""
    await ready(door)
    await door.unlock(2.0)
    await asyncio.to_thread(simulated.wait_for, lambda v: v.persons == 1 and not v.stands_open)
    assert await door.wait_for_opening(0, LIMIT_S)
    assert await door.wait_until_shut(LIMIT_S)
    assert not await door.wait_for_opening(1, 0.3)
    door.close()


async def test_a_jammed_door_does_not_open(door: OsdpDoor, simulated: SimulatedDoor) -> None:
    await ready(door)
    simulated.jam()
    await door.unlock(0.5)
    assert not await door.wait_for_opening(0, 0.8)
    assert simulated.view.unlocked_times == 1
    door.close()


async def test_a_long_text_is_shown_in_whole_sentences(
    door: OsdpDoor, simulated: SimulatedDoor
) -> None:
    """One after the other, in letters that the reader has; the next sign takes their place."""
    await ready(door)
    await door.show(Sign(False, "This door is out of service. Your ticket was not used."), 0.2)
    assert simulated.view.text == "This door is out of service."
    async with asyncio.timeout(LIMIT_S):
        while simulated.view.text != "Your ticket was not used.":
            await door.check()
            await asyncio.sleep(0.02)
    await door.show(Sign(False, "Ask the café at the other door. It is open until midnight."), 0.4)
    await door.show(Sign(True, "Welcome"), 0.1)
    await asyncio.sleep(0.5)
    await door.check()
    assert (simulated.view.text, simulated.view.light) == ("Welcome", "green")
    door.close()


async def test_the_locks_own_relay_is_no_opening(door: OsdpDoor, simulated: SimulatedDoor) -> None:
    """It reports that it is on, and off; nobody went through."""
    await ready(door)
    simulated.jam()
    await door.unlock(0.3)
    assert not await door.wait_for_opening(0, 1.0)
    assert (door.openings, door.stands_open, door.faults) == (0, False, [])
    door.close()


async def test_a_contact_that_reports_a_fault(door: OsdpDoor, simulated: SimulatedDoor) -> None:
    """It is no opening: nobody knows, and nobody else is let in, until it is mended."""
    await ready(door)
    simulated.jam()
    await door.unlock(0.3)
    simulated.cut_contact()
    with pytest.raises(DeviceLost, match="contact"):
        await door.wait_for_opening(0, LIMIT_S)
    assert (door.openings, door.is_ready, door.faults) == (0, False, [CONTACT_FAULT])
    await door.check()
    with pytest.raises(NotUnlocked, match="contact"):
        await door.unlock(0.3)
    door.close()
    door.open()
    await until(lambda: door._is_secure)
    assert not door.is_ready
    simulated.cut_contact(False)
    await until(lambda: door.is_ready)
    simulated.jam(False)
    await door.unlock(1.0)
    assert await door.wait_for_opening(0, LIMIT_S)
    door.close()


async def test_tamper_and_power_are_told_as_faults(
    door: OsdpDoor, simulated: SimulatedDoor
) -> None:
    """The door opens all the same, and neither is an opening."""
    await ready(door)
    simulated.tamper()
    simulated.cut_power()
    await until(lambda: door.faults == [TAMPER, POWER])
    simulated.tamper(False)
    await until(lambda: door.faults == [POWER])
    simulated.report(StatusReportType.Remote, b"\x01")
    await until(lambda: door.faults == [POWER, READER_AWAY])
    assert (door.openings, door.is_ready) == (0, True)
    await door.unlock(1.0)
    assert await door.wait_for_opening(0, LIMIT_S)
    door.close()


async def test_a_door_that_is_held_open(door: OsdpDoor, simulated: SimulatedDoor) -> None:
    await ready(door)
    simulated.hold_open()
    await door.unlock(0.5)
    assert await door.wait_for_opening(0, LIMIT_S)
    assert not await door.wait_until_shut(0.8)
    simulated.hold_open(False)
    assert await door.wait_until_shut(LIMIT_S)
    door.close()


async def test_a_reader_that_is_unplugged(door: OsdpDoor, simulated: SimulatedDoor) -> None:
    """It is lost at once, and works again when it is plugged in."""
    await ready(door)
    simulated.unplug()
    await lost(door)
    with pytest.raises(NotUnlocked):
        await door.unlock(1.0)
    door.close()
    with pytest.raises(Complaint, match="door"):
        door.open()
    simulated.plug()
    await ready(door)
    await door.unlock(1.0)
    simulated.wait_for(lambda v: v.unlocked_times == 1)
    door.close()


@pytest.mark.parametrize("fault", ["silent", "garbage"])
async def test_a_reader_that_makes_no_sense(
    door: OsdpDoor, simulated: SimulatedDoor, fault: str
) -> None:
    """An unlock is unknown within seconds; the reader is found again when it answers."""
    await ready(door)
    break_it = simulated.go_silent if fault == "silent" else simulated.talk_garbage
    break_it(True)
    begun = time.monotonic()
    with pytest.raises(DeviceLost):
        await door.unlock(1.0)
    assert time.monotonic() - begun < LIMIT_S
    door.close()
    door.open()
    assert "silent" in await lost(door)
    door.close()
    break_it(False)
    await ready(door)
    door.close()


async def test_another_key_opens_nothing(simulated: SimulatedDoor) -> None:
    """Who is on the line without the key cannot unlock."""
    stranger = OsdpDoor(str(simulated.line.path), bytes(16), ready_s=READY_S)
    stranger.open()
    assert "silent" in await lost(stranger)
    assert simulated.view.unlocked_times == 0
    stranger.close()
