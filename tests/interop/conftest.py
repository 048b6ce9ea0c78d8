"""One running switch for the clients that are not ours."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.running import RunningSwitch


@pytest.fixture(scope="module")
def switch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSwitch]:
    """Run a switch with two shards; the books are verified at the end."""
    running = RunningSwitch.start(tmp_path_factory.mktemp("interop") / "switch", shards=2)
    try:
        yield running
        running.stop()
        running.verify()
    finally:
        running.kill()
