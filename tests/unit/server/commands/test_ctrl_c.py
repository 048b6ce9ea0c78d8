"""Ctrl-C in the middle of a command: one line that says what was done, and exit code 130."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import pytest

from server import backup, data_folder
from server.commands import ledger, operator_line
from tests.unit.server.commands.conftest import Kessai
from tests.unit.server.switch.in_process import make_folder

STOPPED = {
    ("init", "--data", "{0}/new"): (data_folder, "_create_identities", "was not made"),
    ("ledger", "verify", "--data", "{0}/data"): (ledger, "examine_stopped", "nothing is known"),
    ("backup", "{0}/new", "--data", "{0}/data"): (backup, "examine_stopped", "was not made"),
    ("ledger", "trial-balance", "--data", "{0}/data"): (operator_line, "open_channel", "stopped"),
    ("operator", "add", "ann", "--data", "{0}/data"): (data_folder, "Lock", "stopped"),
}


def interrupted(*_: Any, **__: Any) -> NoReturn:  # noqa: ANN401
    """What Ctrl-C does to whatever runs."""
    raise KeyboardInterrupt


@pytest.mark.parametrize("words", STOPPED)
def test_it_says_what_was_done(
    run: Kessai, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    make_folder(tmp_path / "data", 1)
    place, name, says = STOPPED[words]
    monkeypatch.setattr(place, name, interrupted)
    code, _, error = run(*(word.format(tmp_path) for word in words))
    assert (code, error.count("\n"), says in error) == (130, 1, True), error
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_what_was_whole_by_then_is_said_to_be(
    run: Kessai, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped after the folder was in its place."""
    make_folder(tmp_path / "data", 1)
    monkeypatch.setattr(data_folder, "create", lambda folder, *_: _made_and_stopped(folder))
    code, _, error = run("init", "--data", str(tmp_path / "new"))
    assert (code, "is made, and whole" in error) == (130, True), error


def _made_and_stopped(folder: Path) -> NoReturn:
    folder.mkdir()
    (folder / "kessai.toml").write_text("")
    raise KeyboardInterrupt


def test_a_damaged_page_is_one_fault(run: Kessai, tmp_path: Path) -> None:
    """Told once: not on both streams, nor again as a log that cannot be read to its end."""
    make_folder(tmp_path / "data", 1)
    shard = tmp_path / "data" / "shards" / "0000.db"
    content = bytearray(shard.read_bytes())
    content[3 * 4096 + 100] ^= 1
    shard.write_bytes(content)
    code, out, error = run("ledger", "verify", "--data", str(tmp_path / "data"))
    assert (code, out.count("fault:"), error.count("\n")) == (1, 1, 1), out + error
    assert "1 fault in" in error
