"""A running switch for the commands, and the commands in this process."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import pytest

from cli.main import main
from server.commands import operator_line
from tests.running import RunningSwitch

# A handshake with four busy workers beside it.
LINE_S = 10.0

Kessai = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def switch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSwitch]:
    """A running switch for all tests of a file."""
    running = RunningSwitch.start(tmp_path_factory.mktemp("commands") / "data")
    yield running
    running.stop()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Kessai:
    """Run a command in this process: exit code, standard output, standard error."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(operator_line, "LINE_S", LINE_S)

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["kessai", *words])
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        out = capsys.readouterr()
        return code, out.out, out.err

    return run
