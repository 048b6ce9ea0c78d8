"""The `kessai agent relay` command. Mounted by `edge_agents/cli.py`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

LISTEN = "127.0.0.1:7450"


def relay(
    folder: Annotated[
        Path, typer.Option("--folder", help="The folder that kessai agent pair made.")
    ],
    listen: Annotated[
        str, typer.Option("--listen", help="HOST:PORT where the fleet's machines call.")
    ] = LISTEN,
    events: Annotated[bool, typer.Option("--events", help="JSON lines on stdout.")] = False,
) -> None:
    """Run a fleet's server, which passes its machines' calls on, until Ctrl-C or SIGTERM.

    Example: kessai agent relay --folder nordic --listen 0.0.0.0:7450
    """
    from edge_agents.events import set_up_log
    from edge_agents.relay.main import run_relay

    set_up_log()
    asyncio.run(run_relay(folder, listen, sys.stdout if events else None))
