"""docs/commands.md, made of the commands themselves: `python -m tests.commands_page` writes it."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from cli.completion import values_of
from cli.main import ROOMS

PAGE = Path(__file__).resolve().parents[1] / "docs" / "commands.md"
EXAMPLE = "Example: "
_HEAD = """\
# Commands

Every command of `kessai`, made of the commands themselves by `python -m tests.commands_page`.
How they are used is in [operations](operations.md); `kessai COMMAND --help` says the same in place.

What they have in common:

- `--data FOLDER` is the switch's folder on its machine, `--identity FOLDER` an operator's own; both
  may stand in `KESSAI_DATA` and `KESSAI_IDENTITY`.
- Amounts are written `"12.34 EUR"`, or `12.34` in the currency of the account. They have no sign.
- A command that changes something shows the id of its request. If its outcome is unknown it says
  so, and the same command with `--request-id ID` tells what became of it, or does it now.
- `--json` writes one object a line, with the names of the [protos](../protos/kessai/v1); numbers of
  64 bits are strings, times RFC 3339, bytes base64.
- Errors are one line on stderr. Exit codes: 0 done; 1 refused, or the outcome is unknown; 2 wrong
  use; 3 not paid (`agent certificate`, `phone tap`, `phone bill`); 70 and 74 a switch that could
  not go on; 130 Ctrl-C.
- `source <(kessai completion bash)` completes commands and options; zsh and fish likewise.
"""


@dataclass(frozen=True)
class Command:
    """A command as it is typed, what its help says, and its parameters."""

    words: str
    text: str
    parameters: tuple[Any, ...]
    source: str
    command: Any = None

    @property
    def options(self) -> set[str]:
        """The names of its options, such as "--json"."""
        named = (p for p in self.parameters if p.param_type_name == "option" and not p.hidden)
        return {name for option in named for name in option.opts}

    @property
    def example(self) -> str:
        """The line that its help gives as an example, or ""."""
        return " ".join(self.text.partition(EXAMPLE)[2].split())


def commands() -> Iterator[Command]:
    """Every command there is, in the order of the help."""
    for name, (place, _) in ROOMS.items():
        module, _, app = place.partition(":")
        root: Any = typer.main.get_command(getattr(importlib.import_module(module), app))
        yield from _below(root, name)


def page() -> str:
    """The page as it must be."""
    return _HEAD + "".join(map(_section, commands()))


def _below(command: Any, words: str) -> Iterator[Command]:  # noqa: ANN401
    for name, inner in getattr(command, "commands", {}).items():
        yield from _below(inner, f"{words} {name}")
    if not hasattr(command, "commands") or command.invoke_without_command:
        function = inspect.unwrap(command.callback)
        parameters = tuple(p for p in command.params if p.name != "help")
        text = inspect.getdoc(function) or ""
        yield Command(f"kessai {words}", text, parameters, inspect.getsource(function), command)


def _section(command: Command) -> str:
    said = " ".join(command.text.partition(EXAMPLE)[0].split())
    lines = [f"\n## {command.words}\n", said, "", f"    {command.example}", ""]
    rows = [_row(command.command, p) for p in command.parameters if not getattr(p, "hidden", False)]
    if rows:
        lines += ["| parameter | meaning |", "|---|---|", *rows]
    return "\n".join(lines).rstrip() + "\n"


def _row(command: Any, parameter: Any) -> str:  # noqa: ANN401
    if parameter.param_type_name == "argument":
        name = parameter.name.upper()
    else:
        name = ", ".join(parameter.opts)
    choices = values_of(command, parameter.name)
    said = (parameter.help or "").replace("|", "\\|")
    return f"| `{name}` | {said}{' One of: ' + ', '.join(choices) + '.' if choices else ''} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
