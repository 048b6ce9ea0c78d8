"""A simulated air with a terminal's radio in it, for the tests of BLE, and the phones there."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from edge_agents.links.ble_radio import BleRadio, open_ble_radio
from edge_agents.links.message_link import MessageLink
from simulators.air.air import Air
from simulators.phone.ble_field import BleField, open_ble_field
from tests.unit.edge_agents.links.fields import PATIENCE_S, reversed_bytes

CODE = "0417"


def numbers() -> Iterator[bytes]:
    """Give the bytes from which the codes 0001, 0002, and so on are drawn."""
    return (number.to_bytes(8, "big") for number in itertools.count(1))


class Room:
    """A terminal's radio, with a code that stays unless it is left out, and who comes."""

    def __init__(self, folder: Path, options: str) -> None:
        self.air = Air(folder / "air")
        self.bus = f"unix:path={self.air.path}"
        drawn = numbers()
        self.radio: BleRadio = open_ble_radio(self.bus + options, lambda count: next(drawn))

    @contextmanager
    def phone(self, options: str = "", code: str = CODE) -> Iterator[BleField]:
        """Let a phone be there whose app answers a message backwards."""
        field = open_ble_field(f"{self.bus},code={code}{options}")
        field.bring(field.make_card(reversed_bytes))
        try:
            yield field
        finally:
            field.close()

    async def found(self) -> MessageLink:
        """Wait for a phone."""
        link = await self.radio.wait_for_phone(PATIENCE_S)
        assert link is not None
        return link

    async def works(self) -> None:
        """Assert that a good phone is served, whatever was before."""
        with self.phone():
            link = await self.found()
            assert await link.exchange(b"still here", PATIENCE_S) == b"ereh llits"
        assert await self.radio.wait_until_gone(PATIENCE_S)


@asynccontextmanager
async def room(folder: Path, options: str = f",code={CODE}") -> AsyncIterator[Room]:
    """Open a room, and see that nothing goes on in it at the end."""
    made = Room(folder, options)
    before = asyncio.all_tasks()
    try:
        yield made
    finally:
        await made.radio.close()
        made.air.close()
    left = {task for task in asyncio.all_tasks() - before if "ble_radio" in repr(task.get_coro())}
    assert not left
