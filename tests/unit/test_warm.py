"""A command that starts warm is to its caller what one that starts cold is."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.running import KESSAI
from tests.warm import WarmProcess

LIMIT_S = 60.0
PIPE = subprocess.PIPE


@pytest.mark.parametrize(
    "words",
    [
        ("--version",),
        ("nonsense",),
        ("serve", "--help"),
        ("serve", "--data", "nowhere"),
        ("agent", "pair", "--folder", "till"),
    ],
)
def test_its_output_and_its_end_are_the_same(words: tuple[str, ...], tmp_path: Path) -> None:
    """In the same folder and environment, with the same words on stdin."""
    ends = []
    for process_class in (WarmProcess, subprocess.Popen):
        folder = tmp_path / process_class.__name__
        folder.mkdir()
        with process_class(
            [KESSAI, *words], stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True, cwd=folder,
            env=os.environ | {"COLUMNS": "70"},
        ) as process:  # fmt: skip
            said = process.communicate("kessai-pair:no\n", LIMIT_S)
        ends.append((process.returncode, *said))
    assert ends[0] == ends[1]


def test_it_is_a_child_of_its_caller_and_dies_of_sigkill() -> None:
    with WarmProcess([KESSAI, "agent", "pair"], stdin=PIPE, stdout=PIPE, stderr=PIPE) as process:
        status = Path(f"/proc/{process.pid}/status").read_text()
        assert f"PPid:\t{os.getpid()}\n" in status
        process.kill()
        assert process.wait(LIMIT_S) == -signal.SIGKILL
