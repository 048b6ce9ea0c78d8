"""What an agent keeps in memory: nothing that it has no use for while it waits for customers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import edge_agents

# What these bring is for people who look, for the switch, or for codes that are seldom scanned.
TOO_MUCH = {"rich", "structlog", "pygments", "pydantic_settings", "PIL", "biip", "server"}
AGENTS = sorted(path.parent.name for path in Path(edge_agents.__path__[0]).glob("*/main.py"))
RADIOS = {"nfc_reader": ("nfc", "bleak"), "ble_radio": ("bleak", "nfc")}


# One interpreter, whose forks load an agent and a radio each.
_SCRIPT = """
import cli.main, edge_agents.cli, importlib, json, os, sys
for agent, radio in json.loads(sys.argv[1]):
    if os.fork() == 0:
        importlib.import_module(f"edge_agents.{agent}.main")
        importlib.import_module(f"edge_agents.links.{radio}")
        packages = {name.split(".")[0] for name in sys.modules}
        print(json.dumps([agent, radio, *packages]), flush=True)
        os._exit(0)
    os.wait()
"""


@pytest.fixture(scope="module")
def packages() -> dict[tuple[str, str], set[str]]:
    """The packages that an agent with a radio has loaded when it starts."""
    every = [(agent, radio) for agent in AGENTS for radio in RADIOS]
    ended = subprocess.run(
        [sys.executable, "-c", _SCRIPT, json.dumps(every)],
        capture_output=True, text=True, timeout=100, check=True,
    )  # fmt: skip
    lines = map(json.loads, ended.stdout.splitlines())
    return {(agent, radio): set(loaded) for agent, radio, *loaded in lines}


@pytest.mark.parametrize("agent", AGENTS)
@pytest.mark.parametrize("radio", RADIOS)
def test_an_agent_loads_its_own_radio_and_nothing_that_it_does_not_need(
    packages: dict[tuple[str, str], set[str]], agent: str, radio: str
) -> None:
    loaded = packages[agent, radio]
    own, other = RADIOS[radio]
    assert own in loaded
    assert not loaded & {*TOO_MUCH, other}
