"""The display's driver, against a simulated display on a pty."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from edge_agents.devices.display import Display
from edge_agents.devices.serial_line import DeviceLost
from kessai.complaint import Complaint
from simulators.devices.display import SimulatedDisplay


async def test_two_lines_are_shown(tmp_path: Path) -> None:
    simulated = SimulatedDisplay(tmp_path / "display")
    display = Display(str(simulated.line.path))
    display.open()
    await display.show("Brötchen", "Total EUR       3.49")
    await asyncio.to_thread(simulated.wait_for, "3.49")
    assert simulated.lines == ("Brötchen            ", "Total EUR       3.49")
    await display.show("a text that is longer than the line", "€ 決\x1b@")
    await asyncio.to_thread(simulated.wait_for, "a text")
    assert simulated.lines == ("a text that is longe", "€ ??@".ljust(20))
    display.close()
    simulated.close()


async def test_an_unplugged_display_is_lost_and_comes_back(tmp_path: Path) -> None:
    simulated = SimulatedDisplay(tmp_path / "display")
    display = Display(str(simulated.line.path))
    display.open()
    await asyncio.to_thread(simulated.line.unplug)
    with pytest.raises(DeviceLost, match="display does not answer"):
        await display.show("a", "b")
    display.close()
    with pytest.raises(DeviceLost):
        await display.show("a", "b")
    simulated.line.plug()
    display.open()
    await display.show("back", "")
    await asyncio.to_thread(simulated.wait_for, "back")
    display.close()
    simulated.close()


def test_a_missing_display_is_one_complaint(tmp_path: Path) -> None:
    with pytest.raises(Complaint, match="set `display` in the config"):
        Display(str(tmp_path / "none")).open()
