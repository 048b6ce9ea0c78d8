"""Sizes: a file is read in one sitting, a function at one look (see CONTRIBUTING.md)."""

from __future__ import annotations

import ast
import statistics
from pathlib import Path

from tests.house.tree import ROOT, modules, parse, place, plant, python_files_of_tests, report

MAX_FILE_LINES = 300
MAX_TEST_FILE_LINES = 400
MAX_FUNCTION_LINES = 40
MAX_MEDIAN_FILE_LINES = 150


def violations(root: Path) -> list[str]:
    """List the files and functions that are too long."""
    found: list[str] = []
    limits = dict.fromkeys(modules(root).values(), MAX_FILE_LINES)
    limits.update(dict.fromkeys(python_files_of_tests(root), MAX_TEST_FILE_LINES))
    for path, limit in limits.items():
        lines = _lines(path)
        if lines > limit:
            found.append(f"{place(root, path, 1)}: {lines} lines, at most {limit}: split the file")
        found += _long_functions(root, path)
    return found


def median_lines(root: Path) -> float:
    """Give the median length of a module, without the bare __init__ files."""
    sizes = [_lines(path) for path in modules(root).values() if path.name != "__init__.py"]
    return statistics.median(sizes)


def _long_functions(root: Path, path: Path) -> list[str]:
    found: list[str] = []
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > MAX_FUNCTION_LINES:
                found.append(
                    f"{place(root, path, node.lineno)}: {node.name} has {lines} lines, at most "
                    f"{MAX_FUNCTION_LINES}: name its steps"
                )
    return found


def _lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def test_python_files_of_tests_and_functions_are_short() -> None:
    """No file over 300 lines (tests: 400), no function over 40."""
    found = violations(ROOT)
    assert not found, report(found)


def test_the_usual_file_is_short() -> None:
    """Half of the modules have at most 150 lines."""
    assert median_lines(ROOT) <= MAX_MEDIAN_FILE_LINES


def test_what_is_too_long_is_found(tmp_path: Path) -> None:
    """One line too many, in a file, in a test, in a function and in a method."""
    plant(tmp_path, "server/long.py", "x = 1\n" * 301)
    plant(tmp_path, "server/fits.py", "x = 1\n" * 300)
    plant(tmp_path, "tests/test_fits.py", "x = 1\n" * 400)
    plant(tmp_path, "tests/test_long.py", "x = 1\n" * 401)
    plant(tmp_path, "cli/f.py", "def fits():\n" + "    x = 1\n" * 39 + "\n")
    method = "class A:\n    async def long(self):\n" + "        x = 1\n" * 40
    plant(tmp_path, "cli/g.py", method)
    starts = [line.split(": ")[0] for line in violations(tmp_path)]
    assert sorted(starts) == ["cli/g.py:2", "server/long.py:1", "tests/test_long.py:1"]
    assert median_lines(tmp_path) == (300 + 42) / 2
