"""Running one command of a room: its arguments, and how it ends for people."""

from __future__ import annotations

import errno
import gc
import importlib
import itertools
import os
import re
import sys
from collections.abc import Mapping

from kessai.complaint import Complaint
from kessai.log_stream import guard_stderr

Rooms = Mapping[str, tuple[str, str]]

# The exit code after Ctrl-C.
_STOPPED = 130

# Wants of the machine, not faults of the program: room, rights, descriptors, a sound disk, a folder
# where one was named.
_MACHINE_TROUBLE = {
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO,
    errno.EMFILE, errno.ENFILE, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOENT,
    errno.EISDIR, errno.EEXIST,
}  # fmt: skip


# An amount such as "-5.00" or "-5.00 EUR".
_SIGNED = re.compile(r"-[0-9][0-9.,]*( [A-Za-z]*)?")


def run(rooms: Rooms, words: list[str]) -> None:
    """Run a command; a Complaint becomes one line and exit code 1, Ctrl-C one and exit code 130."""
    if sys.stderr is sys.__stderr__:
        guard_stderr()
    # gRPC's own lines on stderr say nothing that our one clear line does not.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    # Whatever any command writes is its user's alone: keys, balances, journals, locks.
    os.umask(0o077)
    if words[:1] == ["--version"]:
        from importlib.metadata import version

        print(f"kessai {version('kessai')}")  # noqa: T201
        return
    if not words or words[0] in ("-h", "--help"):
        _print_help(rooms)
        return
    if words[0] not in rooms:
        _print_error(f'there is no command "{words[0]}"; try kessai --help')
        sys.exit(2)
    try:
        _call(rooms, words[0], words[1:])
    except Complaint as complaint:
        _print_error(str(complaint))
        sys.exit(complaint.exit_code)
    except OSError as error:
        if error.errno not in _MACHINE_TROUBLE:
            raise
        _print_error(_explain(error))
        sys.exit(1)
    except SystemExit as end:
        if end.code == _STOPPED:  # typer ends so after Ctrl-C
            _print_error("stopped.")
        raise


def _call(rooms: Rooms, name: str, words: list[str]) -> None:
    if (name, words[:1]) == ("completion", ["--words"]):
        from cli.completion import candidates

        print("\n".join(candidates(rooms, words[1:])))  # noqa: T201
        return
    _refuse_signs(words)
    module, _, app = rooms[name][0].partition(":")
    gc.disable()  # of what is loaded nothing is garbage; to look for it takes a tenth of the start
    try:
        room = importlib.import_module(module)
    finally:
        gc.enable()
    getattr(room, app)(args=words, prog_name=f"kessai {name}")


def _refuse_signs(words: list[str]) -> None:
    """Complaint for an amount with a sign, which would be taken for an option."""
    for before, word in itertools.pairwise(["", *words]):
        if before == "--":
            return
        if not before.startswith("--") and _SIGNED.fullmatch(word):
            raise Complaint(
                f'"{word}": an amount is more than zero, without a sign. Which way it goes, the '
                "command says, such as deposit and withdraw. Nothing was done."
            )


def _explain(error: OSError) -> str:
    what = error.filename or "a file"
    return (
        f"{what} cannot be used ({error.strerror}). Nothing acknowledged is lost, and nothing was "
        "done by halves: make room or give this user the right, then run it again."
    )


def _print_error(message: str) -> None:
    from kessai.console import Console, styled

    Console(stderr=True, soft_wrap=True).print(styled("[bold red]kessai:[/] {}", message))


def _print_help(rooms: Rooms) -> None:
    from kessai.console import Console, Table, styled

    console = Console()
    console.print(styled("[bold]kessai[/] COMMAND, a payment switch: phones pay at terminals.\n"))
    table = Table.grid(padding=(0, 3))
    for name, (_, does) in rooms.items():
        table.add_row(styled("  [bold cyan]{}[/]", name), does)
    console.print(table)
    console.print("\n  kessai COMMAND --help tells more.")
