"""`kessai completion`: a shell's completion script, and the words that it asks for.

The script calls `kessai completion --words WORD...`, the last one maybe half typed, and gets what
may stand there, a word a line: commands, options, and the values of those that have few.
"""

from __future__ import annotations

import importlib
import inspect
import typing
from collections.abc import Iterator, Mapping
from enum import Enum, StrEnum
from typing import Annotated, Any

import typer

completion = typer.Typer(pretty_exceptions_enable=False, add_completion=False)

_BASH = """\
_kessai() {
    local IFS=$'\\n'
    COMPREPLY=($(kessai completion --words "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _kessai kessai
"""
_ZSH = """\
#compdef kessai
_kessai() {
    local -a found
    found=(${(f)"$(kessai completion --words "${(@)words[2,CURRENT]}" 2>/dev/null)"})
    (( ${#found} )) && compadd -a found || _files
}
compdef _kessai kessai
"""
_FISH = """\
complete -c kessai -a '(kessai completion --words (commandline -opc)[2..-1] (commandline -ct))'
"""


class Shell(StrEnum):
    """The shells that there is a script for."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


_SCRIPTS = {Shell.BASH: _BASH, Shell.ZSH: _ZSH, Shell.FISH: _FISH}


@completion.command()
def print_script(shell: Annotated[Shell, typer.Argument(help="Which shell.")]) -> None:
    """Print the script with which a shell completes commands and options.

    Example: source <(kessai completion bash)
    """
    print(_SCRIPTS[shell], end="")  # noqa: T201


def candidates(rooms: Mapping[str, tuple[str, str]], words: list[str]) -> list[str]:
    """Words that may stand in the place of the last one, after those before it."""
    *before, begun = words or [""]
    if not before:
        return [name for name in rooms if name.startswith(begun)]
    if before[0] not in rooms:
        return []
    module, _, app = rooms[before[0]][0].partition(":")
    command: Any = typer.main.get_command(getattr(importlib.import_module(module), app))
    for word in before[1:]:
        command = getattr(command, "commands", {}).get(word, command)
    return [word for word in _choices(command, before[-1]) if word.startswith(begun)]


def values_of(command: Any, name: str) -> list[str]:  # noqa: ANN401
    """The values that a parameter of a command may have, where they are few."""
    hints = typing.get_type_hints(inspect.unwrap(command.callback)) if command.callback else {}
    kind = hints.get(name)
    return [each.value for each in kind] if inspect.isclass(kind) and issubclass(kind, Enum) else []


def _choices(command: Any, last: str) -> Iterator[str]:  # noqa: ANN401
    """The values of the option before, else commands, options, and the values of arguments."""
    for option in command.params:
        if last in option.opts and option.param_type_name == "option" and not option.is_flag:
            yield from values_of(command, option.name)
            return
    yield from getattr(command, "commands", {})
    for option in command.params:
        if option.param_type_name == "argument":
            yield from values_of(command, option.name)
        elif not option.hidden:
            yield from (name for name in option.opts if name.startswith("--"))
