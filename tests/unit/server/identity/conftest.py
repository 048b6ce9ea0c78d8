"""A switch without its ports, for the tests of identities."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.server.ports import SHOP, Switch


@pytest.fixture
def switch(tmp_path: Path) -> Iterator[Switch]:
    """The parts of a switch, with one merchant."""
    made = Switch(tmp_path)
    made.merchants.add(SHOP)
    yield made
    made.directory.close()
