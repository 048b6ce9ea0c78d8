"""Both programs of docs/protocols/first-call.md, as they stand there, pair and read a balance."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from tests.house.tree import ROOT
from tests.running import RunningSwitch, kessai

PAGE = (ROOT / "docs" / "protocols" / "first-call.md").read_text()
LIMIT_S = 60


def program(language: str) -> str:
    [text] = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(text)


def pair(switch: RunningSwitch, phone: str, account: str) -> str:
    """Ask for a phone's address by the command on the page."""
    data = ("--data", str(switch.folder))
    told = kessai("device", "pair", f"phone/ada/{phone}", "--account", account, "--json", *data)
    return str(json.loads(told.stdout)["pairing_uri"])


def run(folder: Path, *words: str) -> list[str]:
    ended = subprocess.run(
        words, cwd=folder, check=False, capture_output=True, text=True, timeout=LIMIT_S
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()


def test_in_python(switch: RunningSwitch, tmp_path: Path) -> None:
    account = switch.open_account("wallet/ada", 400, 100_00)
    (tmp_path / "first_call.py").write_text(program("python"))
    told = run(tmp_path, sys.executable, "first_call.py", pair(switch, "py", account))
    assert told == ["spiffe://kessai.example/phone/ada/py", f"{account} 100.00 EUR"]


def test_in_node(switch: RunningSwitch, node_folder: Path) -> None:
    account = switch.open_account("wallet/ada", 401, 100_00)
    (node_folder / "first_call.mjs").write_text(program("js"))
    protos, uri = str(ROOT / "protos"), pair(switch, "js", account)
    told = run(node_folder, "node", "first_call.mjs", protos, uri)
    assert told == ["spiffe://kessai.example/phone/ada/js", f"{account} 10000 EUR"]
