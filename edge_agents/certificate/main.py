"""Runs the counter for one gift certificate. Called by `kessai agent certificate`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

from edge_agents.certificate.desk import CertificateDesk, Spent
from edge_agents.certificate.pending import Pending
from edge_agents.links.message_link import LinkLost, Radio
from edge_agents.links.radio import open_radio
from edge_agents.terminal import open_terminal
from edge_agents.ticket_line import TicketLine
from edge_agents.uplink import Uplink
from kessai.channel import open_channel
from kessai.complaint import Complaint
from kessai.device_identity import load_identity
from kessai.money import Money


def now_us() -> int:
    """Tell the machine's time, microseconds since 1970."""
    return time.time_ns() // 1000


async def spend_certificate(
    folder: Path, reader: str, amount: Money, wait_s: float, show_code: Callable[[str], None]
) -> Spent:
    """Let the next phone's certificate pay; or learn what became of the last one, if not known.

    `show_code` gets the code that the customer enters on the phone, where the radio has one.
    Complaint if something is missing, or no phone comes in time.
    """
    identity = load_identity(folder)
    identity.require_in_date(now_us())
    terminal = open_terminal(folder, identity)
    async with contextlib.AsyncExitStack() as stack:
        uplink = Uplink(open_channel(identity), os.urandom)
        stack.push_async_callback(uplink.close)
        desk = CertificateDesk(terminal, Pending(folder), TicketLine(uplink), now_us, os.urandom)
        before = await desk.finish()
        if before is not None:
            return before
        radio = open_radio(reader)
        stack.push_async_callback(radio.close)
        return await _collect(desk, radio, amount, wait_s, show_code)


async def _collect(
    desk: CertificateDesk,
    radio: Radio,
    amount: Money,
    wait_s: float,
    show_code: Callable[[str], None],
) -> Spent:
    deadline, shown = asyncio.get_running_loop().time() + wait_s, None
    while (left := deadline - asyncio.get_running_loop().time()) > 0:
        if radio.code is not None and radio.code != shown:
            shown = radio.code
            show_code(shown)
        link = await radio.wait_for_phone(min(left, 1.0))
        if link is not None:
            with contextlib.suppress(LinkLost):  # it showed nothing yet: the customer taps again
                return await desk.collect(link, amount)
    raise Complaint("No phone with a certificate came in time. Nothing was paid. Run this again.")
