"""`kessai backup` and `kessai restore` in the wrong place: one line each; nothing is changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.server.commands.conftest import Kessai
from tests.unit.server.switch.in_process import make_folder

WRONG = {
    "backup {0}/new --data {0}/nowhere": "there is no",
    "backup {0}/new --data {0}/empty": "Make a data folder with: kessai init",
    "backup {0}/file --data {0}/data": "exists already",
    "backup {0}/data/in --data {0}/data": "is in the data folder itself",
    "restore {0}/nowhere --data {0}/new": "is no whole backup",
    "restore {0}/data --data {0}/new": "is no whole backup",
    "restore --data {0}/data": "name the backup",
    "restore --accept-loss --data {0}/empty": "Make a data folder with: kessai init",
    "restore {0}/data --data {0}/new --with-faults": "not verify is not restored",
}


@pytest.mark.parametrize("words", WRONG)
def test_a_wrong_folder_is_one_line(run: Kessai, tmp_path: Path, words: str) -> None:
    make_folder(tmp_path / "data", 1)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("mine")
    before = sorted(path for path in tmp_path.rglob("*") if path.name != "kessai.lock")
    code, out, err = run(*words.format(tmp_path).split())
    assert (code, out) == (1, "")
    assert err.count("\n") == 1
    assert WRONG[words] in err
    assert before == sorted(path for path in tmp_path.rglob("*") if path.name != "kessai.lock")
    assert (tmp_path / "file").read_text() == "mine"
