"""What attacks share: a world a file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.attack.world import World


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world whose books verify at the end, whatever was tried."""
    opened = World(tmp_path_factory.mktemp("attack"))
    yield opened
    opened.close()
