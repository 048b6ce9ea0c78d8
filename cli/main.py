"""The `kessai` command. Each room brings its own commands; this file only says where they are.

A room is imported when one of its commands is called, so an agent on a small machine does not load
the switch; and what prints only when something is printed.
"""

from __future__ import annotations

import errno
import importlib
import itertools
import os
import re
import sys

from kessai.complaint import Complaint
from kessai.log_stream import guard_stderr

# Command -> (where its typer app is, what it does). The order is that of the help.
ROOMS: dict[str, tuple[str, str]] = {
    "demo": ("simulators.town_demo:demo", "Watch a phone pay at a register, from radio to ledger."),
    "init": (
        "server.commands.folder:init",
        "Make a data folder: certificates, keys, shards and a config.",
    ),
    "serve": ("server.commands.folder:serve", "Run the switch on a data folder."),
    "account": (
        "server.commands.accounts:account",
        "Open accounts, take cash in and out, read statements.",
    ),
    "payment": ("server.commands.payments:payment", "Look payments up by id, order or receipt."),
    "merchant": (
        "server.commands.merchants:merchant",
        "Enter, list, edit and close merchants.",
    ),
    "ticket": (
        "server.commands.tickets:ticket",
        "Offer tickets; show, refund and revoke those that were sold.",
    ),
    "loss": (
        "server.commands.losses:loss",
        "List what terminals lost off line, and forgive it.",
    ),
    "device": ("server.commands.devices:device", "Pair, list and revoke devices."),
    "operator": (
        "server.commands.operators:operator",
        "Add, list and revoke operators; see what waits for a second one.",
    ),
    "backup": ("server.commands.backup:backup", "Write a backup, of a switch that runs or not."),
    "restore": ("server.commands.backup:restore", "Make a data folder of a backup."),
    "approve": ("server.commands.operators:approve", "Confirm what another operator proposed."),
    "audit": ("server.commands.audit:audit", "List what operators did; verify that log."),
    "shards": (
        "server.commands.shards:shards",
        "Add account stores; move slots between them while payments run.",
    ),
    "clock": ("server.commands.clock:clock", "See the switch's clock; confirm it after a jump."),
    "ledger": ("server.commands.ledger:ledger", "Verify the books; print the trial balance."),
    "agent": ("edge_agents.cli:agent", "Pair and run the agent of a terminal."),
    "phone": ("simulators.phone.cli:phone", "Pair and run a simulated phone."),
    "simulate": ("simulators.devices.cli:simulate", "Run simulated devices, and the air for BLE."),
    "bench": ("simulators.load.cli:bench", "Measure, and print the figures."),
    "completion": (
        "cli.completion:completion",
        "Print a shell's completion script: bash, zsh or fish.",
    ),
}


# Wants of the machine, not faults of the program: room, rights, descriptors, a sound disk, a folder
# where one was named.
_MACHINE_TROUBLE = {
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO,
    errno.EMFILE, errno.ENFILE, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOENT,
    errno.EISDIR, errno.EEXIST,
}  # fmt: skip


# An amount such as "-5.00" or "-5.00 EUR".
_SIGNED = re.compile(r"-[0-9][0-9.,]*( [A-Za-z]*)?")


def main() -> None:
    """Run a command; a Complaint becomes one line and exit code 1, Ctrl-C exit code 130."""
    if sys.stderr is sys.__stderr__:
        guard_stderr()
    # gRPC's own lines on stderr say nothing that our one clear line does not.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    # Whatever any command writes is its user's alone: keys, balances, journals, locks.
    os.umask(0o077)
    words = sys.argv[1:]
    if words[:1] == ["--version"]:
        from importlib.metadata import version

        print(f"kessai {version('kessai')}")  # noqa: T201
        return
    if not words or words[0] in ("-h", "--help"):
        _print_help()
        return
    if words[0] not in ROOMS:
        _print_error(f'there is no command "{words[0]}"; try kessai --help')
        sys.exit(2)
    try:
        _run(words[0], words[1:])
    except Complaint as complaint:
        _print_error(str(complaint))
        sys.exit(complaint.exit_code)
    except OSError as error:
        if error.errno not in _MACHINE_TROUBLE:
            raise
        _print_error(_explain(error))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _run(name: str, words: list[str]) -> None:
    if (name, words[:1]) == ("completion", ["--words"]):
        from cli.completion import candidates

        print("\n".join(candidates(ROOMS, words[1:])))  # noqa: T201
        return
    _refuse_signs(words)
    module, _, app = ROOMS[name][0].partition(":")
    getattr(importlib.import_module(module), app)(args=words, prog_name=f"kessai {name}")


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


def _print_help() -> None:
    from kessai.console import Console, Table, styled

    console = Console()
    console.print(styled("[bold]kessai[/] COMMAND, a payment switch: phones pay at terminals.\n"))
    table = Table.grid(padding=(0, 3))
    for name, (_, does) in ROOMS.items():
        table.add_row(styled("  [bold cyan]{}[/]", name), does)
    console.print(table)
    console.print("\n  kessai COMMAND --help tells more.")
