"""The project's files as the house tests see them: what there is, and what a module imports.

Used by every test in this folder, on the project itself and on small planted trees.
"""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# Import name -> the folder that holds it.
ROOMS = {
    "kessai": Path("protos"),
    "cli": Path("."),
    "server": Path("."),
    "edge_agents": Path("."),
    "simulators": Path("."),
}
GENERATED = ("_pb2.py", "_pb2_grpc.py")


@dataclass(frozen=True)
class Import:
    """One imported module, by its full name, and the line that imports it."""

    module: str
    line: int


def files(root: Path) -> list[Path]:
    """List the project's files: what git tracks or would track; every file of a planted tree."""
    if not (root / ".git").exists():
        return sorted(path for path in root.rglob("*") if path.is_file())
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout
    paths = (root / name for name in set(listed.split("\0")) if name)
    return sorted(path for path in paths if path.is_file())


def modules(root: Path) -> dict[str, Path]:
    """Map the name of every hand-written module of the rooms to its file."""
    found = {}
    for path in files(root):
        if path.suffix != ".py" or path.name.endswith(GENERATED):
            continue
        for room, folder in ROOMS.items():
            if path.is_relative_to(root / folder / room):
                found[_module_name(path.relative_to(root / folder))] = path
    return found


def python_files_of_tests(root: Path) -> list[Path]:
    """List the Python files of the tests."""
    return [
        path for path in files(root) if path.suffix == ".py" and path.is_relative_to(root / "tests")
    ]


def parse(path: Path) -> ast.Module:
    """Parse a Python file."""
    return ast.parse(path.read_text(), filename=str(path))


def imports(name: str, path: Path, known: dict[str, Path]) -> Iterator[Import]:
    """Give what a module imports anywhere; `from a import b` gives a.b if that is a module."""
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(name, path, node)
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                is_module = inner in known or base == "google"
                yield Import(inner if is_module else base, node.lineno)


def within(name: str, prefix: str) -> bool:
    """Tell whether a module is a package or lies in it: a.b is in a, ab is not."""
    return name == prefix or name.startswith(prefix + ".")


def place(root: Path, path: Path, line: int) -> str:
    """Write "folder/file.py:12", which an editor opens."""
    return f"{path.relative_to(root)}:{line}"


def plant(root: Path, path: str, text: str) -> None:
    """Write a file of a planted tree, to prove that a house test can fail."""
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)


def report(violations: list[str]) -> str:
    """Put violations under one another for a failing test's message."""
    return "\n" + "\n".join(violations)


def _module_name(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _absolute(name: str, path: Path, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    base = package[: len(package) - node.level + 1]
    return ".".join([*base, node.module] if node.module else base)
