"""The `kessai agent entrance` command. Mounted by `edge_agents/cli.py`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from edge_agents.config import load_config
from edge_agents.entrance.config import EntranceConfig


def entrance(
    config: Annotated[Path | None, typer.Option("--config", help="TOML file.")] = None,
    folder: Annotated[Path | None, typer.Option(help="The terminal's folder.")] = None,
    reader: Annotated[str | None, typer.Option(help="Phone reader, such as usb.")] = None,
    events: Annotated[str | None, typer.Option("--for", help="The events, by comma.")] = None,
    door: Annotated[Path | None, typer.Option(help="Serial line of the door.")] = None,
    door_protocol: Annotated[str | None, typer.Option(help="osdp or modbus.")] = None,
    door_key: Annotated[Path | None, typer.Option(help="File with the reader's key.")] = None,
    hub: Annotated[str | None, typer.Option(help="HOST:PORT of the venue's hub.")] = None,
    hub_terminal: Annotated[str | None, typer.Option(help="The hub's terminal id.")] = None,
    hub_listen: Annotated[str | None, typer.Option(help="Be the hub, on HOST:PORT.")] = None,
    hub_away: Annotated[str | None, typer.Option(help="refuse, or count alone.")] = None,
    unlock_seconds: Annotated[int | None, typer.Option(help="Time to go in, 1 to 60.")] = None,
    held_open_seconds: Annotated[int | None, typer.Option(help="2 to 600.")] = None,
    follow: Annotated[bool, typer.Option("--events", help="JSON lines on stdout.")] = False,
) -> None:
    """Run the entrance of a venue until it is stopped with Ctrl-C or SIGTERM.

    Example: kessai agent entrance --folder door --for spring --door /dev/ttyUSB0
    """
    flags = {
        "folder": folder,
        "reader": reader,
        "events": events,
        "door": door,
        "door_protocol": door_protocol,
        "door_key": door_key,
        "hub": hub,
        "hub_terminal": hub_terminal,
        "hub_listen": hub_listen,
        "hub_away": hub_away,
        "unlock_seconds": unlock_seconds,
        "held_open_seconds": held_open_seconds,
    }
    settings = load_config(EntranceConfig, config, flags)
    from edge_agents.entrance.main import run_entrance
    from edge_agents.events import set_up_log

    set_up_log()
    asyncio.run(run_entrance(settings, sys.stdout if follow else None))
