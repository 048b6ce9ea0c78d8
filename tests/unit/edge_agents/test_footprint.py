"""What an agent keeps in memory: nothing that it has no use for while it waits for customers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import edge_agents

# What these bring is for people who look, for the switch, or for codes that are seldom scanned.
TOO_MUCH = {"rich", "structlog", "pygments", "pydantic_settings", "PIL", "biip", "server"}
AGENTS = sorted(path.parent.name for path in Path(edge_agents.__path__[0]).glob("*/main.py"))
RADIOS = {"nfc_reader": ("nfc", "bleak"), "ble_radio": ("bleak", "nfc")}


def loaded_by(*modules: str) -> set[str]:
    """Import modules in a new interpreter; the packages that are then there."""
    script = (
        f"import sys, {', '.join(modules)}; print(*{{name.split('.')[0] for name in sys.modules}})"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    return set(ended.stdout.split())


@pytest.mark.parametrize("agent", AGENTS)
@pytest.mark.parametrize("radio", RADIOS)
def test_an_agent_loads_its_own_radio_and_nothing_that_it_does_not_need(
    agent: str, radio: str
) -> None:
    loaded = loaded_by(
        "cli.main", "edge_agents.cli", f"edge_agents.{agent}.main", f"edge_agents.links.{radio}"
    )
    own, other = RADIOS[radio]
    assert own in loaded
    assert not loaded & {*TOO_MUCH, other}
