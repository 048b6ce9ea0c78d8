"""Documents come in by one door: no payload is parsed anywhere but in `kessai.envelope`.

A bare `FromString` of a payload believes whatever somebody sent: any size, any bytes, any time.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.house.tree import ROOT, modules, parse, place, plant, report

PARSERS = {"FromString", "ParseFromString", "MergeFromString"}
DOOR = "kessai.envelope"


def violations(root: Path) -> list[str]:
    """List every payload that is parsed elsewhere."""
    found: list[str] = []
    for name, path in modules(root).items():
        if name != DOOR:
            found += (f"{place(root, path, line)}: read it with {DOOR}" for line in _parsed(path))
    return found


def _parsed(path: Path) -> Iterator[int]:
    for node in ast.walk(parse(path)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        said = (ast.unparse(argument) for argument in node.args)
        if node.func.attr in PARSERS and any("payload" in argument for argument in said):
            yield node.lineno


def test_payloads_are_parsed_in_one_place() -> None:
    found = violations(ROOT)
    assert not found, report(found)


def test_a_bare_parse_is_found(tmp_path: Path) -> None:
    """In every spelling; the door itself may, and a parser may be handed on uncalled."""
    plant(tmp_path, "protos/kessai/envelope.py", "a = Ticket.FromString(signed.payload)\n")
    plant(tmp_path, "edge_agents/a.py", "a = Ticket.FromString(shown.ticket.payload)\n")
    plant(tmp_path, "server/b.py", "b = Bill()\nb.ParseFromString(payload)\n")
    plant(tmp_path, "simulators/c.py", "c = Bill()\nc.MergeFromString(bytes(a_payload))\n")
    plant(tmp_path, "server/d.py", "d = open_signed(signed, TICKET, key, Ticket.FromString)\n")
    starts = sorted(line.split(": ")[0] for line in violations(tmp_path))
    assert starts == ["edge_agents/a.py:1", "server/b.py:2", "simulators/c.py:2"]
