"""The shelf: fresh or not, kept over a restart, told when it changes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc.aio

from edge_agents.events import Events
from edge_agents.ticket_line import TicketLine
from edge_agents.ticket_machine.shelf import FILE_NAME, Shelf
from edge_agents.uplink import Uplink
from tests.unit.edge_agents.shop import Clock, Follower
from tests.unit.edge_agents.ticket_machine.offers import (
    HOUR_US,
    BoxOffice,
    make_offer,
    serve_offers,
)

WAIT_S = 60.0


def open_shelf(
    folder: Path, channel: grpc.aio.Channel, clock: Clock, follower: Follower, every_s: float = 0.05
) -> Shelf:
    line = TicketLine(Uplink(channel, bytes))
    return Shelf(folder, line, every_s, Events(clock, follower), clock)


@asynccontextmanager
async def running(shelf: Shelf) -> AsyncIterator[asyncio.Event]:
    """Run it; the event is set whenever it tells a change."""
    changed = asyncio.Event()
    shelf.on_change = changed.set
    task = asyncio.create_task(shelf.run())
    try:
        yield changed
    finally:
        task.cancel()
        await asyncio.wait([task])


def titles(shelf: Shelf) -> list[str]:
    return [offer.title for offer in shelf.on_sale()]


async def test_offers_are_taken_kept_and_fetched_again(tmp_path: Path) -> None:
    """After a restart they are known at once, and not sold before the switch has said them."""
    office, clock, follower = BoxOffice(make_offer("adult", 2500)), Clock(), Follower()
    async with asyncio.timeout(WAIT_S), serve_offers(office) as channel:
        shelf = open_shelf(tmp_path, channel, clock, follower)
        async with running(shelf) as changed:
            await changed.wait()
            assert (shelf.is_fresh, titles(shelf)) == (True, ["Adult"])
            changed.clear()
            office.offers.append(make_offer("child", 1200))
            await changed.wait()
            assert titles(shelf) == ["Adult", "Child"]
        again = open_shelf(tmp_path, channel, clock, follower)
        assert (again.is_fresh, titles(again)) == (False, ["Adult", "Child"])


async def test_the_switch_away(tmp_path: Path) -> None:
    """It is told once, not at each try, and again when it is back."""
    office, clock, follower = BoxOffice(make_offer("adult", 2500)), Clock(), Follower()
    async with asyncio.timeout(WAIT_S), serve_offers(office) as channel:
        shelf = open_shelf(tmp_path, channel, clock, follower)
        async with running(shelf) as changed:
            await changed.wait()
            changed.clear()
            office.away = True
            await changed.wait()
            assert (shelf.is_fresh, titles(shelf)) == (False, ["Adult"])
            changed.clear()
            office.away = False
            await changed.wait()
            assert shelf.is_fresh
            changed.clear()
            shelf.refresh()
            assert not shelf.is_fresh
            await changed.wait()
            assert shelf.is_fresh
    told = [name for name in follower.names() if name.startswith("offers_")]
    assert told == [
        "offers_changed",
        "offers_taken",
        "offers_stale",
        "offers_taken",
        "offers_changed",
    ]


async def test_what_is_over_is_not_on_sale(tmp_path: Path) -> None:
    office, clock, follower = BoxOffice(make_offer("adult", 2500)), Clock(), Follower()
    async with asyncio.timeout(WAIT_S), serve_offers(office) as channel:
        shelf = open_shelf(tmp_path, channel, clock, follower)
        async with running(shelf) as changed:
            await changed.wait()
            changed.clear()
            clock.now_us += HOUR_US
            await changed.wait()
            assert (shelf.is_fresh, titles(shelf)) == (True, [])
    steps = [json.loads(line) for line in follower.getvalue().splitlines()]
    assert [s["count"] for s in steps if s["event"] == "offers_changed"] == [1, 0]


async def test_a_damaged_file_is_fetched_again(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"\xff\xff")
    office = BoxOffice(make_offer("adult", 2500))
    async with asyncio.timeout(WAIT_S), serve_offers(office) as channel:
        shelf = open_shelf(tmp_path, channel, Clock(), Follower())
        assert titles(shelf) == []
        async with running(shelf) as changed:
            await changed.wait()
            assert titles(shelf) == ["Adult"]
