"""The town outlives its switch, and a demo that fails says why, and leaves nothing running."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from simulators.town_ledger import Operator
from tests.running import KESSAI, RunningSwitch

LIMIT_S = 90.0


def test_the_operator_s_line_outlives_a_killed_switch(tmp_path: Path) -> None:
    """A call that is made while the switch is away is answered by the next one."""
    switch = RunningSwitch.start(tmp_path / "data", shards=1)
    operator = Operator(switch.operator, lambda: os.urandom(16))
    try:
        assert operator.trial_balance().balanced
        switch.kill()
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(operator.trial_balance)
            switch.restart()
            assert answer.result().balanced
        assert operator.trial_balance().balanced
    finally:
        operator.close()
        switch.kill()


@pytest.mark.full
def test_a_demo_that_fails_says_why_and_cleans_up(tmp_path: Path) -> None:
    folder = tmp_path / "town"
    demo = subprocess.Popen(
        [KESSAI, "demo", "--scene", "friends", "--keep", str(folder)],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    os.kill(_switch_of(folder), signal.SIGKILL)
    _, says = demo.communicate(timeout=LIMIT_S)
    assert demo.returncode == 1
    assert says.count("\n") == 1, says
    assert says.startswith("kessai: the demo did not hold: "), says
    assert _processes_at(folder) == {}


@pytest.mark.full
def test_a_demo_that_is_ended_cleans_up(tmp_path: Path) -> None:
    folder = tmp_path / "town"
    demo = subprocess.Popen(
        [KESSAI, "demo", "--scene", "friends", "--keep", str(folder)], stdout=subprocess.DEVNULL
    )
    _switch_of(folder)
    demo.terminate()
    assert demo.wait(LIMIT_S) == 128 + signal.SIGTERM
    assert _processes_at(folder) == {}


@pytest.mark.full
def test_who_plays_the_cashier_sees_what_he_did(tmp_path: Path) -> None:
    """The display is drawn as the key has left it, not as it was before."""
    demo = subprocess.run(
        [KESSAI, "demo", "--interactive"],
        input="1\nq\n", capture_output=True, text=True, timeout=LIMIT_S, check=True,
    )  # fmt: skip
    *_, last = demo.stdout.split("cashier")[:-1]
    assert "Rye bread 1 kg  3.49" in last


def _switch_of(folder: Path) -> int:
    """Wait until a demo's switch serves; its process id."""
    deadline = time.monotonic() + LIMIT_S
    while not (folder / "switch" / "running.json").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return next(pid for pid, words in _processes_at(folder).items() if "serve" in words)


def _processes_at(folder: Path) -> dict[int, list[str]]:
    """The processes that run on a demo's folder, the demo itself not counted."""
    found: dict[int, list[str]] = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().decode().split("\0")
        except OSError:
            continue
        if "demo" not in words and any(word.startswith(str(folder)) for word in words):
            found[int(process.name)] = words
    return found
