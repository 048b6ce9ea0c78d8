"""Names of numbers from outside come from `kessai/enum_name.py`: a newer version may know more.

`Kind.Name(number)` raises for a number that this version does not know, and ends whoever shows it.
"""

from __future__ import annotations

import ast
from pathlib import Path

from tests.house.tree import ROOT, modules, parse, place, plant, report, within

# What these show comes from a switch, a phone, a log or a file of another version.
_ROOMS = ("cli", "edge_agents", "kessai", "server.commands", "server.switch", "simulators")
# `x509.Name` is a certificate's.
_NO_ENUMS = {"x509"}


def violations(root: Path) -> list[str]:
    """List each name that is asked for in a way that raises."""
    return [
        f"{place(root, path, node.lineno)}: take enum_name, which knows what to say of a newer one"
        for name, path in modules(root).items()
        if any(within(name, room) for room in _ROOMS)
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Call) and _raises(node.func)
    ]


def _raises(function: ast.expr) -> bool:
    if not isinstance(function, ast.Attribute) or function.attr != "Name":
        return False
    return not (isinstance(function.value, ast.Name) and function.value.id in _NO_ENUMS)


def test_names_of_numbers_never_raise() -> None:
    found = violations(ROOT)
    assert not found, report(found)


def test_a_name_that_raises_is_found(tmp_path: Path) -> None:
    """In any form; a certificate's name is none."""
    lines = ["Kind.Name(1)", "pb.Kind.Name(one.kind).lower()", "x509.Name([])"]
    plant(tmp_path, "edge_agents/shown.py", "\n".join(lines) + "\n")
    starts = [line.split(": ")[0] for line in violations(tmp_path)]
    assert sorted(starts) == ["edge_agents/shown.py:1", "edge_agents/shown.py:2"]
