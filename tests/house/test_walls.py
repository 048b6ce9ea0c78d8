"""The walls between the rooms: who may import whom (design section 2), and no circles.

Change the tables when the house changes, and docs/architecture.md with them.
"""

from __future__ import annotations

import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from tests.house.tree import ROOT, imports, modules, place, plant, report, within

_SERVER = {"ledger", "domain", "shards", "hosts", "identity", "switch", "rpc", "web"}
_EVERYTHING = {"server", *(f"server.{room}" for room in _SERVER)} | {
    "edge_agents",
    "edge_agents.links",
    "edge_agents.devices",
    "edge_agents.relay",
    "simulators",
    "simulators.phone",
    "simulators.town",
    "simulators.load",
}

# Room -> the rooms that it may import besides itself and kessai. A module belongs to the longest
# name here that it starts with; "simulators.town" is also simulators/town_*.py.
WALLS: dict[str, set[str]] = {
    "kessai": set(),
    "cli": set(),
    "server": {f"server.{room}" for room in _SERVER},
    "server.ledger": set(),
    "server.domain": {"server.ledger"},
    "server.shards": {"server.domain", "server.ledger"},
    "server.hosts": {"server.domain"},
    "server.identity": {"server.shards", "server.domain"},
    "server.switch": {
        "server.shards",
        "server.hosts",
        "server.identity",
        "server.domain",
        "server.ledger",
    },
    "server.rpc": {"server.switch", "server.identity", "server.domain"},
    "server.web": {"server.switch", "server.identity", "server.domain"},
    "edge_agents": {"edge_agents.links", "edge_agents.devices", "edge_agents.relay"},
    "edge_agents.links": set(),
    "edge_agents.devices": set(),
    "edge_agents.relay": {"edge_agents"},
    "simulators": {"simulators.town", "simulators.load", "simulators.phone"},
    "simulators.phone": {"simulators", "edge_agents.links"},
    "simulators.town": _EVERYTHING,
    "simulators.load": _EVERYTHING,
}

_GRPC = [
    "server.rpc",
    "server.bootstrap",
    "server.ports",
    "server.services",
    "server.main_services",
    "server.relay_service",
    "server.main",
    "server.commands",
    "edge_agents.batch_line",
    "edge_agents.fleet_line",
    "edge_agents.log_watch",
    "edge_agents.uplink",
    "edge_agents.relay",
    "edge_agents.relay_channel",
    "edge_agents.relay_watch",
    "edge_agents.serving_port",
    "edge_agents.vending.main",
    "edge_agents.ticket_line",
    "edge_agents.entrance.hub",
    "edge_agents.entrance.hub_line",
    "kessai.channel",
    "kessai.enrollment",
    "kessai.v1",
    "simulators.phone.bank_line",
    "simulators.phone.own_line",
    "simulators.load",
    "simulators.town_ledger",
]

# Package -> the only places that may import it.
CONFINED: dict[str, list[str]] = {
    "apsw": ["server.shards"],
    "sqlite3": [
        "server.shards",
        "kessai.kept_file",
        "edge_agents.deny_list",
        "edge_agents.journal",
        "edge_agents.journal_entry",
        "edge_agents.accepted",
        "edge_agents.journal_file",
        "edge_agents.gate.rides",
        "edge_agents.entrance.book",
        "simulators.phone.kept",
    ],
    "psycopg": ["server.shards"],
    "sqlalchemy": ["server.shards"],
    "grpc": _GRPC,
    "grpc_status": _GRPC,
    "grpc_health": _GRPC,
    "grpc_reflection": _GRPC,
    "nfc": ["edge_agents.links", "simulators.phone"],
    "bleak": ["edge_agents.links"],
    "dbus_fast": ["edge_agents.links", "simulators.air", "simulators.phone"],
    "serial": ["edge_agents.devices", "simulators"],
    "pymodbus": ["edge_agents.devices"],
    "osdp": ["edge_agents.devices", "simulators"],
    "OpenSSL": ["kessai.enrollment", "kessai.channel"],
}

# What a room may import from outside of the project and the standard library. A room that does not
# stand here may import what pyproject.toml lists.
THIRD_PARTY: dict[str, set[str]] = {
    "kessai": {"google.protobuf", "google.rpc", "cryptography"},
    "kessai.enrollment": {"google", "cryptography", "grpc", "grpc_status", "OpenSSL"},
    "kessai.channel": {"google", "cryptography", "grpc", "grpc_status", "OpenSSL"},
    "kessai.console": {"rich"},
    "server.ledger": set(),
    "server.domain": {"google.protobuf"},
}


def violations(root: Path) -> list[str]:
    """List every import that goes through a wall, as "file:line: what, and what to do"."""
    known = modules(root)
    found: list[str] = []
    for name, path in known.items():
        for imported in imports(name, path, known):
            problem = _problem(name, imported.module)
            if problem:
                found.append(f"{place(root, path, imported.line)}: {problem}")
    return found


def circles(root: Path) -> list[str]:
    """List the first circle of imports between modules, if there is one."""
    known = modules(root)
    graph = {
        name: {i.module for i in imports(name, path, known)} & known.keys() - {name}
        for name, path in known.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle = " -> ".join(reversed(error.args[1]))
        return [f"{circle}: break the circle; move what both need into a module below them"]
    return []


def _problem(name: str, imported: str) -> str | None:
    if _top(imported) in ("kessai", "cli", "server", "edge_agents", "simulators", "tests"):
        return _wall_problem(_room(name), _room(imported))
    if _top(imported) in ("__future__", *CONFINED):
        places = CONFINED.get(_top(imported), [name])
        if not any(within(name, prefix) for prefix in places):
            return f"{_top(imported)} belongs into {', '.join(places)}: call one of these instead"
    if _top(imported) in sys.stdlib_module_names:
        return None
    rule = _longest(name, THIRD_PARTY)
    if rule and not any(within(imported, package) for package in THIRD_PARTY[rule]):
        allowed = ", ".join(sorted(THIRD_PARTY[rule])) or "nothing"
        return f"{rule} may import {allowed} from outside, not {imported}"
    return None


def _wall_problem(room: str, target: str) -> str | None:
    if target in {room, "kessai"} | WALLS.get(room, set()):
        return None
    allowed = ", ".join(sorted(WALLS.get(room, set()) | {"kessai"}))
    return f"{room} may not import {target}, only {allowed}: move the code or pass it in"


def _top(name: str) -> str:
    return name.split(".")[0]


def _room(name: str) -> str:
    if name.startswith("simulators.town"):
        return "simulators.town"
    return _longest(name, WALLS) or _top(name)


def _longest(name: str, table: dict[str, set[str]]) -> str | None:
    return max((key for key in table if within(name, key)), key=len, default=None)


def test_nobody_walks_through_a_wall() -> None:
    """Every import of every module keeps to the tables above."""
    found = violations(ROOT)
    assert not found, report(found)


def test_imports_have_no_circle() -> None:
    """The modules can be put into an order in which each imports only those before it."""
    found = circles(ROOT)
    assert not found, report(found)


def test_the_table_names_rooms_that_exist() -> None:
    """A wall around a room that is not there any more is taken down."""
    for room in ("kessai", "cli", "server", "edge_agents", "simulators"):
        assert room in modules(ROOT)


def test_a_hole_in_a_wall_is_found(tmp_path: Path) -> None:
    """Upward, sideways, relative and late imports are all seen, with file and line."""
    plant(tmp_path, "server/ledger/book.py", "import os\nfrom server.shards import store\n")
    plant(tmp_path, "server/shards/store.py", "import apsw\n")
    plant(tmp_path, "server/rpc/pay.py", "def f():\n    from ..shards.store import x\n")
    plant(tmp_path, "edge_agents/register/main.py", "import server.switch.settle\n")
    plant(tmp_path, "edge_agents/links/nfc.py", "from edge_agents import main\n")
    plant(tmp_path, "cli/main.py", "import simulators.town\n")
    found = violations(tmp_path)
    starts = sorted(line.split(": ")[0] for line in found)
    assert starts == [
        "cli/main.py:1",
        "edge_agents/links/nfc.py:1",
        "edge_agents/register/main.py:1",
        "server/ledger/book.py:2",
        "server/rpc/pay.py:2",
    ]


def test_a_package_in_the_wrong_place_is_found(tmp_path: Path) -> None:
    """SQL outside of shards, gRPC in the ledger, anything but cryptography in kessai."""
    plant(tmp_path, "server/switch/settle.py", "import sqlite3\n")
    plant(tmp_path, "server/ledger/book.py", "import pydantic\n")
    plant(tmp_path, "protos/kessai/money.py", "from rich.console import Console\n")
    plant(
        tmp_path, "protos/kessai/channel.py", "import grpc\nfrom google.protobuf import message\n"
    )
    plant(tmp_path, "protos/kessai/seal.py", "from google.cloud import storage\nimport grpc.aio\n")
    starts = sorted(line.split(": ")[0] for line in violations(tmp_path))
    assert starts == [
        "protos/kessai/money.py:1",
        "protos/kessai/seal.py:1",
        "protos/kessai/seal.py:2",
        "server/ledger/book.py:1",
        "server/switch/settle.py:1",
    ]


def test_a_circle_is_found(tmp_path: Path) -> None:
    """Also one that goes through an import inside a function."""
    plant(tmp_path, "server/switch/a.py", "from server.switch import b\n")
    plant(tmp_path, "server/switch/b.py", "def f():\n    import server.switch.c\n")
    plant(tmp_path, "server/switch/c.py", "from server.switch.a import x\n")
    [found] = circles(tmp_path)
    assert "server.switch.a" in found
    plant(tmp_path, "server/switch/c.py", "x = 1\n")
    assert circles(tmp_path) == []


def test_a_clean_tree_passes(tmp_path: Path) -> None:
    """What the tables allow is allowed."""
    plant(tmp_path, "server/shards/store.py", "import apsw\nfrom server.ledger import book\n")
    plant(tmp_path, "server/ledger/book.py", "from kessai.money import Money\n")
    plant(tmp_path, "simulators/town_square.py", "import server.main, edge_agents.register.main\n")
    plant(tmp_path, "simulators/cli.py", "from simulators import town_square\n")
    assert violations(tmp_path) == []
