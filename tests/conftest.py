"""What every test shares: the seed that repeats a random run, and the switch for real hardware."""

from __future__ import annotations

import gc
import os
import random
from collections.abc import Generator

import grpc.aio
import pytest
from hypothesis import settings

# A loaded machine is no failure; a failing example is printed so that it can be had again.
settings.register_profile("kessai", deadline=None, print_blob=True)
settings.load_profile("kessai")

# Commands print as on a plain terminal, and call the test's own switch, whoever runs the tests.
# Taken away before the first module of the house is imported, for some are read only then.
for _name in (
    "COLUMNS", "LINES", "TERMINAL_WIDTH", "FORCE_COLOR", "NO_COLOR", "PY_COLORS", "GITHUB_ACTIONS",
    "TTY_COMPATIBLE", "TTY_INTERACTIVE", "KESSAI_DATA", "KESSAI_IDENTITY",
):  # fmt: skip
    os.environ.pop(_name, None)

Report = pytest.TestReport
_SEED = pytest.StashKey[int]()


@pytest.fixture(scope="session", autouse=True)
def _grpc_stays_up() -> None:
    """Keep gRPC's poller for the whole session.

    Else it ends with the last server or channel, and starts anew with the next test's, on another
    event loop.
    """
    grpc.aio.init_grpc_aio()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --hardware."""
    parser.addoption(
        "--hardware", action="store_true", help="also run the tests that need a real device"
    )


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no garbage among thousands of tests: not while they are made, and never again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip tests marked `hardware` unless they were asked for."""
    if config.getoption("--hardware"):
        return
    for item in items:
        if item.get_closest_marker("hardware"):
            item.add_marker(pytest.mark.skip(reason="needs a real device: run with --hardware"))


@pytest.fixture
def random_seed(request: pytest.FixtureRequest) -> int:
    """Give the seed of this test: KESSAI_SEED, or a new one; a failing test prints it."""
    seed = int(os.environ.get("KESSAI_SEED") or random.SystemRandom().randrange(2**32))
    request.node.stash[_SEED] = seed
    return seed


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Report, Report]:
    """Print the seed of a failing random test, so that the same run can be had again."""
    report = yield
    if report.failed and _SEED in item.stash:
        report.sections.append(("seed", f"repeat it with KESSAI_SEED={item.stash[_SEED]}"))
    return report
