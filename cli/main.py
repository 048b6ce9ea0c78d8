"""The `kessai` command. Each room brings its own commands; this file only says where they are.

A room is imported when one of its commands is called, so an agent on a small machine does not load
the switch. Nothing else is imported before Ctrl-C is answered with a line.
"""

from __future__ import annotations

import sys

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


def main() -> None:
    """Run a command; Ctrl-C while it is loaded is one line and exit code 130."""
    try:
        from cli.run import run

        run(ROOMS, sys.argv[1:])
    except KeyboardInterrupt:
        sys.stderr.write("kessai: stopped before it began; nothing was done.\n")
        sys.exit(130)
