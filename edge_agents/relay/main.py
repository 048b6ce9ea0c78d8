"""Runs a fleet's server: opens its line and its port, and stops cleanly at a signal.

What is missing at start is a Complaint before anything was passed;
after that the switch and the machines may come and go.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from pathlib import Path
from typing import TextIO

from edge_agents.events import Events
from edge_agents.loops import run_until_one_ends
from edge_agents.relay.machines import Machines
from edge_agents.relay.port import RelayPort, open_port
from edge_agents.relay.switch_line import SwitchLine
from edge_agents.serving_port import ServingCertificate
from kessai.complaint import Complaint
from kessai.device_identity import load_identity
from kessai.identity_path import RELAY

# Calls under way at a stop have so long.
DRAIN_S = 3.0


def now_us() -> int:
    """Tell the machine's time, microseconds since 1970."""
    return time.time_ns() // 1000


async def run_relay(folder: Path, listen: str, follower: TextIO | None) -> None:
    """Run until SIGTERM or SIGINT; Complaint if something is missing at start."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    events, identity = Events(now_us, follower), load_identity(folder)
    if identity.kind != RELAY:
        raise Complaint(
            f"{folder} is the identity of {identity.device}, not of a fleet's server. Nothing was "
            "passed. Pair it with a code of: kessai device pair relay/<fleet> --merchant <merchant>"
        )
    identity.require_in_date(now_us())
    machines, certificate = Machines(identity, now_us), ServingCertificate(identity)
    async with contextlib.AsyncExitStack() as stack:
        line = SwitchLine(identity, machines, events)
        stack.push_async_callback(line.close)
        port = RelayPort(machines, line, identity.switch_key, events)
        server, listening = await open_port(port, listen, certificate)
        stack.push_async_callback(server.stop, DRAIN_S)
        host = listen.rpartition(":")[0]
        events.emit("started", relay=identity.device, listen=f"{host}:{listening}")
        await run_until_one_ends(
            stop.wait(),
            line.keep_asking(),
            line.keep_certificate(folder, certificate.renew, now_us),
        )
    events.emit("stopped")
