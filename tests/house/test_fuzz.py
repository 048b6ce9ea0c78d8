"""Each driver of a device on a line is named by a fuzz test: a new one is fuzzed, too."""

from __future__ import annotations

from pathlib import Path

from tests.house.tree import (
    ROOT,
    files,
    imports,
    modules,
    place,
    plant,
    report,
)

DEVICES = "edge_agents.devices."
# What hears no device: it opens lines, says what a door is, or lays texts out.
NO_DRIVERS = {"serial_line", "door", "paging"}


def violations(root: Path) -> list[str]:
    """List the drivers that no test in tests/fuzz imports."""
    known = modules(root)
    fuzzed = {
        found.module
        for path in files(root)
        if path.suffix == ".py" and path.is_relative_to(root / "tests" / "fuzz")
        for found in imports(f"tests.fuzz.{path.stem}", path, known)
    }
    return [
        f"{place(root, path, 1)}: no test in tests/fuzz says random bytes to it"
        for name, path in known.items()
        if name.startswith(DEVICES)
        and name.removeprefix(DEVICES) not in NO_DRIVERS
        and name not in fuzzed
    ]


def test_every_driver_is_fuzzed() -> None:
    found = violations(ROOT)
    assert not found, report(found)


def test_a_driver_that_nobody_fuzzes_is_found(tmp_path: Path) -> None:
    """In both spellings of an import; what is no driver need not be named."""
    for name in ("scale", "drawer", "lamp", "door"):
        plant(tmp_path, f"edge_agents/devices/{name}.py", "x = 1\n")
    plant(tmp_path, "edge_agents/devices/__init__.py", "")
    fuzz = "from edge_agents.devices import scale\nfrom edge_agents.devices.drawer import x\n"
    plant(tmp_path, "tests/fuzz/test_lines.py", fuzz)
    starts = [line.split(": ")[0] for line in violations(tmp_path)]
    assert starts == ["edge_agents/devices/lamp.py:1"]
