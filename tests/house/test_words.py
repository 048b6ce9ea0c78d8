"""Words that have no place here: promises, paths of one machine, sleeping, floats for money.

And clocks and dice: they are arguments, given by the files that wire a program together.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.house.tree import ROOT, files, imports, modules, parse, place, plant, report, within

# Put together here, so that this file does not contain them.
FORBIDDEN = {
    "TO" + "DO": "do it now, or leave it out",
    "FIX" + "ME": "do it now, or leave it out",
    "/wo" + "rk/": "name no path of one machine",
    "/ro" + "ot/": "name no path of one machine",
}
TEXT = {
    ".py",
    ".pyi",
    ".proto",
    ".md",
    ".toml",
    ".yaml",
    ".json",
    ".js",
    ".mjs",
    ".sql",
    ".txt",
    "",
}
SLEEP = re.compile(r"\btime\.sleep\(")
OWN_CLOCK = re.compile(r"\btime\.time(_ns)?\(|\bdatetime\.(now|utcnow|today)\(|\bos\.urandom\(")
WIRING = {"main.py", "cli.py", "bootstrap.py"}
COMMANDS = "commands"
NO_SLEEP = ("server", "edge_agents")
NO_FLOAT = ("kessai.money", "server.ledger")
NO_RANDOM = ("kessai", "cli", "server", "edge_agents")


def violations(root: Path) -> list[str]:
    """List every forbidden word, with file and line."""
    found: list[str] = []
    for path in files(root):
        if path.suffix in TEXT:
            found += _words(root, path)
    for name, path in modules(root).items():
        if any(within(name, room) for room in NO_FLOAT):
            found += _floats(root, path)
        if any(within(name, room) for room in NO_RANDOM):
            found += _random(root, name, path)
            found += _clocks(root, path)
    return found


def _words(root: Path, path: Path) -> Iterator[str]:
    awake = path.relative_to(root).parts[0] in NO_SLEEP
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        for word, advice in FORBIDDEN.items():
            if word in line:
                yield f"{place(root, path, number)}: {word}: {advice}"
        if awake and SLEEP.search(line):
            yield f"{place(root, path, number)}: wait for an event with a deadline, do not sleep"


def _floats(root: Path, path: Path) -> Iterator[str]:
    for node in ast.walk(parse(path)):
        is_float = isinstance(node, ast.Constant) and isinstance(node.value, float)
        is_name = isinstance(node, ast.Name) and node.id == "float"
        is_division = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)
        if is_float or is_name or is_division:
            line = getattr(node, "lineno", 1)
            yield f"{place(root, path, line)}: no float holds money: use whole minor units"


def _random(root: Path, name: str, path: Path) -> Iterator[str]:
    for imported in imports(name, path, {}):
        if within(imported.module, "random"):
            where = place(root, path, imported.line)
            yield f"{where}: take random_bytes as an argument, so that a run can be repeated"


def _clocks(root: Path, path: Path) -> Iterator[str]:
    if path.name in WIRING or path.parent.name == COMMANDS:
        return
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        if OWN_CLOCK.search(line):
            yield f"{place(root, path, number)}: take now_us or random_bytes as an argument"


def test_no_forbidden_word() -> None:
    """The tracked text files and the modules keep to the tables above."""
    found = violations(ROOT)
    assert not found, report(found)


def test_forbidden_words_are_found(tmp_path: Path) -> None:
    """One of each kind, and nothing where it is allowed."""
    plant(tmp_path, "README.md", "Later.\n" + "TO" + "DO: more\n")
    plant(tmp_path, "run", "cd /wo" + "rk/main\n")
    plant(tmp_path, "server/loop.py", "import time\ntime.sleep(1)\n")
    plant(tmp_path, "simulators/loop.py", "import random, time\ntime.sleep(1)\n")
    plant(tmp_path, "server/ledger/sum.py", "a = 1.5\nb = float(2)\nc = 3 / 2\nd = 3 // 2\n")
    plant(tmp_path, "edge_agents/ids.py", "from random import randbytes\n")
    plant(tmp_path, "server/switch/now.py", "import time\nnow = time.time_ns()\n")
    plant(tmp_path, "server/main.py", "import time\nnow = time.time_ns()\n")
    starts = [line.split(": ")[0] for line in violations(tmp_path)]
    assert sorted(starts) == [
        "README.md:2",
        "edge_agents/ids.py:1",
        "run:1",
        "server/ledger/sum.py:1",
        "server/ledger/sum.py:2",
        "server/ledger/sum.py:3",
        "server/loop.py:2",
        "server/switch/now.py:2",
    ]
