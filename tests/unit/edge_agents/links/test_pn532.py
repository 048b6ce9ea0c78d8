"""The PN532 driver: it waits for a slow line, and tells the chip only what it does not know."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edge_agents.links.radio import open_radio
from simulators.phone.pn532_chip import Pn532Chip
from tests.unit.edge_agents.links.fields import PATIENCE_S, reversed_bytes

_SLOW_S = 0.15
_IN_COMMUNICATE_THRU = 0x42


class WatchedChip(Pn532Chip):
    """A chip that takes its time if it is to, and notes which commands it was given."""

    def __init__(self, path: Path) -> None:
        self.slow_s, self.commands = 0.0, list[int]()
        super().__init__(path)

    def _write(self, data: bytes) -> None:
        time.sleep(self.slow_s)
        super()._write(data)

    def _obey(self, code: int, data: bytes) -> bytes | None:
        self.commands.append(code)
        return super()._obey(code, data)


@pytest.fixture
async def chip(tmp_path: Path) -> AsyncIterator[WatchedChip]:
    """Give a chip on a line."""
    watched = WatchedChip(tmp_path / "reader")
    yield watched
    watched.close()


async def test_a_slow_acknowledgement_is_no_unplugged_reader(chip: WatchedChip) -> None:
    """nfcpy alone gives up after 0.1 s."""
    radio = open_radio(f"pn532:{chip._line.path}")
    card = chip.make_card(reversed_bytes)
    try:
        chip.slow_s = _SLOW_S
        chip.bring(card)
        link = await radio.wait_for_phone(PATIENCE_S)
        assert link is not None
        assert radio.is_ready
        chip.slow_s = 0.0
        assert await link.exchange(b"slow", PATIENCE_S) == b"wols"
    finally:
        await radio.close()
        card.close()


async def test_a_frame_costs_one_command(chip: WatchedChip) -> None:
    """What was set for a phone stays set; a phone that comes after it is set up anew."""
    radio = open_radio(f"pn532:{chip._line.path}")
    try:
        for _ in range(2):
            card = chip.make_card(reversed_bytes)
            chip.bring(card)
            link = await radio.wait_for_phone(PATIENCE_S)
            assert link is not None
            chip.commands.clear()
            assert await link.exchange(b"brief", PATIENCE_S) == b"feirb"
            assert chip.commands == [_IN_COMMUNICATE_THRU]
            chip.take_away()
            card.close()
            assert await radio.wait_until_gone(PATIENCE_S)
    finally:
        await radio.close()
