"""One running switch for the clients that are not ours, and a folder for those in Node.

What needs Node is skipped where there is none, or its packages cannot be had.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import RunningSwitch

HERE = Path(__file__).parent
INSTALL_LIMIT_S = 60


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


@pytest.fixture(scope="session")
def node_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the clients' packages, as package-lock.json pins them, in a folder of their own."""
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip("node and npm are not installed")
    folder = tmp_path_factory.mktemp("node")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, folder)
    for script in (HERE / "client.mjs", *(HERE / "node").glob("*.mjs")):
        shutil.copy(script, folder)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    try:
        subprocess.run(
            command, cwd=folder, check=True, capture_output=True, timeout=INSTALL_LIMIT_S
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"npm cannot install the clients' packages: {error}")
    return folder
