"""A fleet for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.edge_agents.relay.parties import Fleet


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    """A fleet with an authority of its own."""
    return Fleet(tmp_path)
