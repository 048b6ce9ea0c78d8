"""What people see on a terminal goes through `kessai.console`, which shows words as plain text."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.house.tree import ROOT, modules, parse, place, plant, report

THROUGH = "kessai.console"
# What takes text for markup, or prints it as it is.
_ELSEWHERE = {
    "rich": {"print", "print_json", "inspect"},
    "rich.console": {"Console"},
    "rich.table": {"Table"},
    "rich.markup": {"render", "escape"},
    "rich.pretty": {"pprint"},
}
_TITLES = {"title", "subtitle"}


def violations(root: Path) -> list[str]:
    """List what is printed past `kessai.console`, as "file:line: what, and what to do"."""
    found: list[str] = []
    for name, path in modules(root).items():
        if name == THROUGH:
            continue
        for node in ast.walk(parse(path)):
            for problem in _problems(node):
                found.append(f"{place(root, path, node.lineno)}: {problem}")  # type: ignore[attr-defined]
    return found


def _problems(node: ast.AST) -> list[str]:
    if isinstance(node, ast.ImportFrom) and node.module in _ELSEWHERE:
        names = sorted({alias.name for alias in node.names} & _ELSEWHERE[node.module])
        return [f"{node.module}.{name}: take {THROUGH}'s" for name in names]
    if isinstance(node, ast.Call):
        return _problems_of_call(node)
    return []


def _problems_of_call(call: ast.Call) -> list[str]:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    options = {option.arg: option.value for option in call.keywords}
    if name in ("Console", "Table") and isinstance(call.func, ast.Attribute):
        return [f"rich's {name}: take {THROUGH}'s"]
    if name == "from_markup":
        return ["markup stands in the template of styled()"]
    if name == "styled" and not _is_ours(call.args[0]):
        return ["a value in the template of styled(): hand it over beside it"]
    if name == "TextColumn" and "markup" not in options:
        return ["a column takes text for markup: markup=False"]
    if name == "Panel":
        titles = [options[title] for title in _TITLES & options.keys()]
        if any(isinstance(title, ast.JoinedStr | ast.Attribute | ast.Name) for title in titles):
            return ["a panel takes its title for markup: Text(...)"]
    return []


def _is_ours(template: ast.expr) -> bool:
    """Whether a template is written here: at most names are joined, such as one of two styles."""
    parts = template.values if isinstance(template, ast.JoinedStr) else []
    values = [part.value for part in parts if isinstance(part, ast.FormattedValue)]
    return all(isinstance(value, ast.Name) for value in values)


def test_all_goes_through_one_console() -> None:
    found = violations(ROOT)
    assert not found, report(found)


def test_another_way_is_found(tmp_path: Path) -> None:
    plant(tmp_path, "server/commands/a.py", "from rich.console import Console, Group\n")
    plant(tmp_path, "server/commands/b.py", "def f():\n    from rich.table import Table\n")
    plant(tmp_path, "simulators/c.py", 'x = Text.from_markup("[red]x")\n')
    plant(tmp_path, "simulators/d.py", 'x = styled(f"[red]{device.name}")\n')
    plant(tmp_path, "simulators/e.py", "x = Panel(y, title=name)\n")
    plant(tmp_path, "simulators/f.py", 'x = TextColumn("{task.description}")\n')
    plant(tmp_path, "simulators/h.py", "import rich.console\nx = rich.console.Console()\n")
    plant(tmp_path, "simulators/g.py", 'x = Panel(y, title="a")\nfrom rich.text import Text\n')
    starts = sorted(line.split(": ")[0] for line in violations(tmp_path))
    assert starts == [
        "server/commands/a.py:1",
        "server/commands/b.py:2",
        "simulators/c.py:1",
        "simulators/d.py:1",
        "simulators/e.py:1",
        "simulators/f.py:1",
        "simulators/h.py:2",
    ]
