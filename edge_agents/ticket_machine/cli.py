"""The `kessai agent ticket-machine` command. Mounted by `edge_agents/cli.py`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from edge_agents.config import load_config
from edge_agents.ticket_machine.config import TicketMachineConfig


def ticket_machine(
    config: Annotated[Path | None, typer.Option("--config", help="TOML file.")] = None,
    folder: Annotated[Path | None, typer.Option(help="The terminal's folder.")] = None,
    reader: Annotated[str | None, typer.Option(help="Radio: usb, ble:hci0, ...")] = None,
    scanner: Annotated[Path | None, typer.Option(help="Serial line of the keys.")] = None,
    display: Annotated[Path | None, typer.Option(help="Display's serial line.")] = None,
    printer: Annotated[Path | None, typer.Option(help="Printer's serial line.")] = None,
    submission: Annotated[str | None, typer.Option(help="relayed, or direct.")] = None,
    request_seconds: Annotated[int | None, typer.Option(help="Time to pay, 10 to 120.")] = None,
    refresh_seconds: Annotated[int | None, typer.Option(help="Ask for offers, 1 to 3600.")] = None,
    rest_seconds: Annotated[int | None, typer.Option(help="Begin anew after, 2 to 600.")] = None,
    events: Annotated[bool, typer.Option("--events", help="JSON lines on stdout.")] = False,
) -> None:
    """Run a ticket machine until it is stopped with Ctrl-C or SIGTERM.

    Example: kessai agent ticket-machine --folder machine
    """
    flags = {
        "folder": folder,
        "reader": reader,
        "scanner": scanner,
        "display": display,
        "printer": printer,
        "submission": submission,
        "request_seconds": request_seconds,
        "refresh_seconds": refresh_seconds,
        "rest_seconds": rest_seconds,
    }
    settings = load_config(TicketMachineConfig, config, flags)
    from edge_agents.events import set_up_log
    from edge_agents.ticket_machine.main import run_ticket_machine

    set_up_log()
    asyncio.run(run_ticket_machine(settings, sys.stdout if events else None))
