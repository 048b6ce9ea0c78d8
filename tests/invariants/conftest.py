"""What invariants share: the engines that they may be tested on, and the table of kills."""

from __future__ import annotations

import os
import time
from contextlib import nullcontext

import pytest

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
    wanted = int(os.environ.get("KESSAI_KILLS") or 0)
    if wanted:
        table.on_kill = lambda scene, victim: _tell(config, table, scene, victim)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Show what became of all that was killed."""
    caption = f"{time.monotonic() - _BEGIN_S:,.0f} s"
    if seed := os.environ.get("KESSAI_SEED"):
        caption = f"seed {seed}, {caption}: repeat it with KESSAI_SEED={seed}"
    terminalreporter.write(config.stash[_TABLE].draw(caption, colours=terminalreporter.hasmarkup))


def _tell(config: pytest.Config, table: KillTable, scene: str, victim: str) -> None:
    """Say on the terminal, or in the log of a run, how far it has come."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if not isinstance(reporter, pytest.TerminalReporter):
        return
    seconds = time.monotonic() - _BEGIN_S
    line = f"{seconds:6,.0f} s  {table.kills():4} kills  {scene}: {table.kills(scene)}, {victim}"
    capture = config.pluginmanager.get_plugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture is not None else nullcontext():
        if reporter.isatty:
            reporter.rewrite(line, erase=True)
        else:
            reporter.write_line(line)
