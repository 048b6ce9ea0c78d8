"""Docstrings: every public module, class and function says what it is for, in sentences."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.house.tree import ROOT, modules, parse, place, plant, python_files_of_tests, report

MIN_MODULE_DOCSTRING = 40

Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def violations(root: Path) -> list[str]:
    """List what is public and has no docstring, or one whose first sentence does not end."""
    found: list[str] = []
    for path in modules(root).values():
        tree = parse(path)
        if len(ast.get_docstring(tree) or "") < MIN_MODULE_DOCSTRING:
            found.append(f"{place(root, path, 1)}: say what the module is for and who calls it")
        for name, node in [("the module", tree), *_public(tree)]:
            found += _problems(root, path, name, node)
    for path in python_files_of_tests(root):
        found += _problems(root, path, "the module", parse(path))
    return found


def _public(parent: ast.Module | ast.ClassDef) -> Iterator[tuple[str, Documented]]:
    for node in parent.body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if node.name.startswith("_") or _is_overload(node):
            continue
        yield node.name, node
        if isinstance(node, ast.ClassDef):
            yield from _public(node)


def _is_overload(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(ast.unparse(d).split(".")[-1] == "overload" for d in node.decorator_list)


def _problems(root: Path, path: Path, name: str, node: Documented) -> list[str]:
    where = place(root, path, getattr(node, "lineno", 1))
    summary = (ast.get_docstring(node) or "").split("\n\n")[0].rstrip()
    if not summary:
        return [f"{where}: {name} has no docstring: say what it does, in which units"]
    if summary[-1] not in ".!?":
        return [f"{where}: the docstring of {name} does not begin with a whole sentence"]
    return []


def test_everything_public_has_a_docstring() -> None:
    """A reader finds out from the docstrings alone what there is."""
    found = violations(ROOT)
    assert not found, report(found)


def test_what_is_missing_is_found(tmp_path: Path) -> None:
    """In a module, a class, a method, a function and a test module; private names are free."""
    long = '"""What this planted module is for, and who calls it."""\n'
    plant(tmp_path, "cli/short.py", '"""Too short."""\n')
    plant(tmp_path, "cli/bare.py", "x = 1\n")
    text = long + "class A:\n    def f(self): ...\n    def _g(self): ...\nasync def h(): ...\n"
    plant(tmp_path, "cli/named.py", text)
    plant(tmp_path, "cli/half.py", long + 'def f():\n    """Does a thing"""\n')
    plant(tmp_path, "tests/test_bare.py", "x = 1\n")
    starts = sorted(line.split(": ")[0] for line in violations(tmp_path))
    assert starts == [
        "cli/bare.py:1",
        "cli/bare.py:1",
        "cli/half.py:2",
        "cli/named.py:2",
        "cli/named.py:3",
        "cli/named.py:5",
        "cli/short.py:1",
        "tests/test_bare.py:1",
    ]
