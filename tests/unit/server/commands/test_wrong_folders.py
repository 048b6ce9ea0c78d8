"""A folder that is a file, a file that is a folder, a place that is not there: one line each."""

from __future__ import annotations

from pathlib import Path

import pytest

from kessai.pairing_code import PairingCode, format_code, format_pairing_uri
from tests.unit.server.commands.conftest import Kessai

WRONG = {
    "phone": ("phone", "pair", "--folder", "{file}", "--uri-file", "{uri}", "--pin-file", "{pin}"),
    "phone, below": (
        "phone", "pair", "--folder", "{file}/x", "--uri-file", "{uri}", "--pin-file", "{pin}",
    ),
    "agent": ("agent", "pair", "--folder", "{file}", "--uri-file", "{uri}"),
    "picture": ("demo", "--picture", "{file}/town.svg"),
    "picture nowhere": ("demo", "--picture", "{none}/town.svg"),
    "picture is a folder": ("demo", "--picture", "{folder}"),
    "keep": ("demo", "--keep", "{file}"),
    "balance": ("phone", "balance", "--folder", "{file}"),
    "payments": ("agent", "payments", "--folder", "{file}"),
    "init": ("init", "--data", "{file}"),
    "serve": ("serve", "--data", "{file}"),
    "identity": ("account", "list", "--identity", "{file}"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_place_is_one_line(run: Kessai, tmp_path: Path, what: str) -> None:
    """With what it is, and no traceback; before anything is begun."""
    places = {name: tmp_path / name for name in ("file", "none", "folder", "uri", "pin")}
    places["file"].write_text("not a folder")
    places["folder"].mkdir()
    uri = format_pairing_uri(PairingCode("127.0.0.1:1", format_code(bytes(16)), bytes(32)))
    for name, text in (("uri", uri), ("pin", "1234")):
        places[name].write_text(text)
        places[name].chmod(0o600)
    code, out, error = run(*(word.format(**places) for word in WRONG[what]))
    assert (code, out) == (1, "")
    assert error.count("\n") == 1, error
    assert str(tmp_path) in error
    assert "Traceback" not in error


def test_an_operator_whose_data_folder_is_not_there_is_told_so(run: Kessai, tmp_path: Path) -> None:
    code, out, error = run("account", "list", "--data", str(tmp_path / "none"))
    assert (code, out) == (1, "")
    assert f"there is no folder {tmp_path / 'none'}. Nothing was done." in " ".join(error.split())
