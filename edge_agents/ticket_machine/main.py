"""Runs a ticket machine. Called by `kessai agent ticket-machine`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TextIO

from edge_agents.counter.main import now_us, open_counter
from edge_agents.payment_request import PendingPayment
from edge_agents.ticket_line import CallFailed, TicketLine
from edge_agents.ticket_machine.config import TicketMachineConfig
from edge_agents.ticket_machine.machine import TicketMachine
from edge_agents.ticket_machine.shelf import Shelf
from kessai.v1.envelope_pb2 import Signed


async def run_ticket_machine(config: TicketMachineConfig, follower: TextIO | None) -> None:
    """Run until SIGTERM or SIGINT; Complaint if something is missing at start."""
    async with open_counter(config, follower) as counter:
        line = TicketLine(counter.around.uplink)
        shelf = Shelf(config.folder, line, config.refresh_seconds, counter.events, now_us)

        async def tickets_of(pending: PendingPayment) -> Sequence[Signed] | None:
            try:
                return await line.tickets(pending.payment_id)
            except CallFailed:
                return None

        await counter.serve(
            lambda parts: TicketMachine(parts, shelf, config.rest_seconds),
            replace(counter.around, tickets_of=tickets_of),
            shelf.run(),
        )
