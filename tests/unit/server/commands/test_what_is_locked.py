"""Whether a switch runs is told by the folder's lock, not by what a killed one left behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from server import data_folder
from server.commands import operator_line
from tests.unit.server.commands.conftest import Kessai
from tests.unit.server.switch.in_process import make_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A stopped switch's folder that says that this very process serves it."""
    make_folder(tmp_path / "data", 1)
    nobody = "127.0.0.1:9"
    data_folder.announce(tmp_path / "data", data_folder.running_here(nobody, nobody, ""))
    return tmp_path / "data"


def test_a_killed_switch_is_looked_at_on_the_disk(folder: Path, run: Kessai) -> None:
    """Its audit log too, and its operators; nobody is called."""
    data = ("--data", str(folder))
    code, out, _ = run("ledger", "verify", *data)
    assert (code, "audit log verifies" in out) == (0, True)
    assert run("audit", "verify", *data)[0] == 0
    assert "operator/operator" in run("operator", "list", *data)[1]
    assert run("operator", "add", "ann", *data)[0] == 0


def test_what_could_not_be_verified_is_no_success(
    folder: Path, run: Kessai, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Something has the lock, and does not tell the audit log."""
    monkeypatch.setattr(operator_line, "LINE_S", 0.2)
    lock = data_folder.Lock(folder)
    try:
        code, out, error = run("ledger", "verify", "--data", str(folder))
    finally:
        lock.release()
    assert (code, "The books verify" in out) == (1, True)
    assert "audit log could not be looked at" in error
