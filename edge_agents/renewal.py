"""Renewing a terminal's certificate in time, so that no till stops on the day that it ends.

One loop of an agent, run by `main`. A certificate is renewed when two thirds of its life are over;
what fails is told and tried again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from edge_agents.events import Events
from edge_agents.payment_request import Terminal
from edge_agents.terminal import open_terminal
from edge_agents.uplink import Uplink
from kessai.complaint import Complaint
from kessai.device_identity import DeviceIdentity

CHECK_EVERY_S = 3600.0


async def keep_certificate(
    folder: Path,
    uplink: Uplink,
    on_renewed: Callable[[Terminal], None],
    events: Events,
    now_us: Callable[[], int],
    others: Sequence[Callable[[DeviceIdentity], Awaitable[None]]] = (),
) -> None:
    """Renew whenever it is due, for ever; the uplink then calls with the new certificate.

    `others` use it as well, on lines that do not lead to the switch.
    """
    while True:
        try:
            identity = await uplink.renew_if_due(folder, now_us)
        except Complaint as complaint:
            events.emit("certificate_not_renewed", why=str(complaint))
        else:
            if identity is not None:
                on_renewed(open_terminal(folder, identity))
                for use in others:
                    await use(identity)
                events.emit("certificate_renewed")
        await asyncio.sleep(CHECK_EVERY_S)
