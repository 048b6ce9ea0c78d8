"""The machine's display: a text of two sentences is shown in two pages, once."""

from __future__ import annotations

import asyncio

from edge_agents.vending.machine_display import MachineDisplay

LIMIT_S = 20.0


async def test_a_long_text_comes_in_pages() -> None:
    said: asyncio.Queue[str] = asyncio.Queue()
    display = MachineDisplay(said.put_nowait, turn_s=0.01)
    display.show("This payment could not be trusted. No money was moved.")
    async with asyncio.timeout(LIMIT_S):
        shown = [await said.get() for _ in range(3)]
    assert shown == [
        "C,DISPLAY,This payment could",
        "C,DISPLAY,not be trusted.",
        "C,DISPLAY,No money was moved.",
    ]


async def test_the_next_text_takes_its_place() -> None:
    """So does a line that is lost: nothing of it is meant for later."""
    said: list[str] = []
    display = MachineDisplay(said.append, turn_s=0.01)
    display.show("This payment could not be trusted. No money was moved.")
    display.show("Enjoy it!")
    await asyncio.sleep(0.05)
    assert said == ["C,DISPLAY,This payment could", "C,DISPLAY,Enjoy it!"]
    display.show("This payment could not be trusted. No money was moved.")
    display.stop()
    await asyncio.sleep(0.05)
    assert said[2:] == ["C,DISPLAY,This payment could"]
