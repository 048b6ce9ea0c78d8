"""What invariants share: the engines that they may be tested on, and the table of kills."""

from __future__ import annotations

import pytest

from tests.invariants.kill_table import KillTable
from tests.unit.server.shards.conftest import postgres_server, stores

__all__ = ["postgres_server", "stores"]

_TABLE = pytest.StashKey[KillTable]()


@pytest.fixture(scope="session")
def kill_table(request: pytest.FixtureRequest) -> KillTable:
    """Give the table to which a kill test adds its kills; it is shown when all tests are done."""
    table = request.config.stash.setdefault(_TABLE, KillTable())
    assert isinstance(table, KillTable)
    return table


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Show what became of all that was killed."""
    lines = config.stash.get(_TABLE, KillTable()).lines()
    if lines:
        terminalreporter.section("killed by SIGKILL; every book verified")
        terminalreporter.write("\n".join(lines) + "\n")
