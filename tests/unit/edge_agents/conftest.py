"""What the tests of agents share: a shop whose devices are simulated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from simulators.devices.barrier import SimulatedBarrier
from simulators.devices.display import SimulatedDisplay
from simulators.devices.printer import SimulatedPrinter
from simulators.devices.scanner import SimulatedScanner
from tests.unit.edge_agents.parties import Switch
from tests.unit.edge_agents.shop import Shop


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    shop = Shop(
        tmp_path,
        Switch(),
        SimulatedScanner(tmp_path / "scanner"),
        SimulatedDisplay(tmp_path / "display"),
        SimulatedPrinter(tmp_path / "printer"),
    )
    yield shop
    for device in (shop.scanner, shop.display, shop.printer):
        device.close()


@pytest.fixture
def board(tmp_path: Path) -> Iterator[SimulatedBarrier]:
    """The Modbus board of a barrier or turnstile."""
    with closing(SimulatedBarrier(tmp_path / "barrier")) as made:
        yield made
