"""Tasks: none is started and left alone, because nobody would hear of its end.

A task belongs to the function that starts it, which waits for it; or to something that supervises
it, and stands below.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.house.tree import ROOT, modules, parse, place, plant, report, within

_ROOMS = ("server", "edge_agents")
_STARTERS = {"create_task", "ensure_future"}

# Who starts tasks that outlive the function, and what becomes of these.
SUPERVISORS = {
    "server.switch.background": "goes on whatever a turn raises, until it is closed",
    "server.rpc.cutting": "cuts one stream, with a deadline; what it raises is of that one",
}


def violations(root: Path) -> list[str]:
    """List each task that is started where nobody waits for it."""
    found: list[str] = []
    for name, path in modules(root).items():
        if name in SUPERVISORS or not any(within(name, room) for room in _ROOMS):
            continue
        for function in ast.walk(parse(path)):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                found += [
                    f"{place(root, path, line)}: nobody waits for this task: wait for it in "
                    "the same function, or let server/switch/background.py keep it"
                    for line in _left_alone(function)
                ]
    return found


def _left_alone(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[int]:
    """Give the lines of tasks that no name holds, or whose name is never awaited."""
    held: dict[str, int] = {}
    starts: dict[int, int] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and _starts_task(node):
            starts[id(node)] = node.lineno
    for node in ast.walk(function):
        if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
            continue
        own = [call for call in ast.walk(node.value) if id(call) in starts]
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            if own and isinstance(target, ast.Name):
                held[target.id] = node.lineno
                for call in own:
                    starts.pop(id(call), None)
    yield from starts.values()
    awaited = {
        name.id
        for node in ast.walk(function)
        if isinstance(node, ast.Await | ast.AsyncFor)
        for name in ast.walk(node)
        if isinstance(name, ast.Name)
    }
    # Awaited one by one: `for done in asyncio.as_completed(tasks): await done`.
    for loop in (node for node in ast.walk(function) if isinstance(node, ast.For)):
        if any(isinstance(inner, ast.Await) for inner in ast.walk(loop)):
            awaited |= {name.id for name in ast.walk(loop.iter) if isinstance(name, ast.Name)}
    yield from (line for name, line in held.items() if name not in awaited)


def _starts_task(call: ast.Call) -> bool:
    """Tell a task that is started by itself from one of a TaskGroup, which waits for all of its."""
    function = call.func
    if isinstance(function, ast.Name):
        return function.id in _STARTERS
    is_group = isinstance(function, ast.Attribute) and (
        isinstance(function.value, ast.Name) and function.value.id == "group"
    )
    return isinstance(function, ast.Attribute) and function.attr in _STARTERS and not is_group


def test_every_task_is_waited_for() -> None:
    found = violations(ROOT)
    assert not found, report(found)


def test_a_task_that_is_left_alone_is_found(tmp_path: Path) -> None:
    """Bare, kept in an attribute or a list of somebody's, or held and never awaited."""
    lines = [
        "import asyncio",
        "async def f(self, work):",
        "    asyncio.create_task(work())",
        "    self.task = asyncio.create_task(work())",
        "    self.tasks.append(asyncio.ensure_future(work()))",
        "    held = asyncio.create_task(work())",
        "async def g(self, work):",
        "    waited = asyncio.create_task(work())",
        "    shared = self.one = self.one or asyncio.create_task(work())",
        "    await asyncio.wait({waited})",
        "    await shared",
        "    many = [asyncio.create_task(work()) for _ in range(3)]",
        "    for done in asyncio.as_completed(many):",
        "        await done",
        "    async with asyncio.TaskGroup() as group:",
        "        group.create_task(work())",
    ]
    plant(tmp_path, "server/switch/lonely.py", "\n".join(lines) + "\n")
    plant(tmp_path, "server/switch/background.py", "\n".join(lines) + "\n")
    plant(tmp_path, "simulators/free.py", "\n".join(lines) + "\n")
    starts = [line.split(": ")[0] for line in violations(tmp_path)]
    assert sorted(starts) == [f"server/switch/lonely.py:{number}" for number in (3, 4, 5, 6)]
