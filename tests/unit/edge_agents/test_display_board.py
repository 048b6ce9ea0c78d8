"""The display board: pages in turn, notices at once, and a display that heals."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from edge_agents.devices.display import Display
from edge_agents.display_board import DisplayBoard
from edge_agents.events import Events
from simulators.devices.display import SimulatedDisplay


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[tuple[DisplayBoard, SimulatedDisplay]]:
    simulated = SimulatedDisplay(folder / "display")
    display = Display(str(simulated.line.path))
    display.open()
    board = DisplayBoard(display, Events(lambda: 0), turn_s=0.05)
    task = asyncio.create_task(board.run())
    try:
        yield board, simulated
    finally:
        task.cancel()
        await asyncio.wait([task])
        display.close()
        simulated.close()


async def test_pages_take_turns(tmp_path: Path) -> None:
    async with running(tmp_path) as (board, simulated):
        board.show([("one", ""), ("two", "")])
        for text in ("one", "two", "one"):
            await asyncio.to_thread(simulated.wait_for, text)


async def test_a_notice_comes_at_once_and_goes_again(tmp_path: Path) -> None:
    async with running(tmp_path) as (board, simulated):
        board.show([("Total", "3.49")])
        board.set_notice("printer", ("no paper", ""))
        await asyncio.to_thread(simulated.wait_for, "no paper")
        await asyncio.to_thread(simulated.wait_for, "Total")
        await asyncio.to_thread(simulated.wait_for, "no paper")
        board.set_notice("printer", None)
        await asyncio.to_thread(simulated.wait_for, "Total")
        assert board.pages == [("Total", "3.49")]


async def test_a_display_that_lost_its_text_is_written_again(tmp_path: Path) -> None:
    """As after a power cut of the display alone: the line never hung up."""
    async with running(tmp_path) as (board, simulated):
        board.show([("Total", "3.49")])
        await asyncio.to_thread(simulated.wait_for, "Total")
        simulated._reset()
        await asyncio.to_thread(simulated.wait_for, "Total")
