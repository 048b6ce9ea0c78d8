"""What invariants share: the engines that they may be tested on, and the table of kills."""

from __future__ import annotations

import os
import sys
import time
from contextlib import nullcontext
from typing import Any

import pytest

from tests.invariants.kill_cases import FULL_RUN, kills
from tests.invariants.kill_table import KillTable
from tests.unit.server.shards.conftest import postgres_server, stores

__all__ = ["postgres_server", "stores"]

_TABLE = pytest.StashKey[KillTable]()
_BEGIN_S = time.monotonic()


@pytest.fixture(scope="session")
def kill_table(request: pytest.FixtureRequest) -> KillTable:
    """Give the table to which a kill test adds its kills; it is shown when all tests are done."""
    return request.config.stash[_TABLE]


def pytest_configure(config: pytest.Config) -> None:
    """Begin a table; a long run, which names its number of kills, shows how far it has come."""
    table = config.stash[_TABLE] = KillTable()
    if kills(0):
        table.on_kill = lambda scene, victim: _tell(config, table, scene, victim)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Show what became of all that was killed."""
    caption = f"{time.monotonic() - _BEGIN_S:,.0f} s"
    if seed := os.environ.get("KESSAI_SEED"):
        caption = f"seed {seed}, {caption}: repeat it with KESSAI_SEED={seed}"
    terminalreporter.write(config.stash[_TABLE].draw(caption, colours=terminalreporter.hasmarkup))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand the kills of a worker to the process that shows the table.

    A run of FULL_RUN kills or more a scene that left a step out has failed.
    """
    table, output = session.config.stash[_TABLE], getattr(session.config, "workeroutput", None)
    if output is not None:
        output["kills"] = table.rows()
    elif kills(0) >= FULL_RUN and table.missed() and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:  # noqa: ANN401
    """Take the kills of a worker over."""
    rows = getattr(node, "workeroutput", {}).get("kills", ())
    node.config.stash[_TABLE].take(rows)


def _tell(config: pytest.Config, table: KillTable, scene: str, victim: str) -> None:
    """Say on the terminal, or in the log of a run, how far it has come; a worker does so, too."""
    line = f"{time.monotonic() - _BEGIN_S:6,.0f} s  {scene}: {table.kills(scene)}, {victim}"
    capture = config.pluginmanager.get_plugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture is not None else nullcontext():
        print(line, file=sys.__stderr__, flush=True)
