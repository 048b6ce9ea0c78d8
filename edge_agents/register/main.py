"""Runs a register. Called by `kessai agent register`."""

from __future__ import annotations

from dataclasses import replace
from typing import TextIO

from edge_agents.counter.main import open_counter
from edge_agents.register.config import RegisterConfig
from edge_agents.register.price_list import load_price_list
from edge_agents.register.register import Register


async def run_register(config: RegisterConfig, follower: TextIO | None) -> None:
    """Run until SIGTERM or SIGINT; Complaint if something is missing at start."""
    prices = load_price_list(config.price_list, config.currency)
    async with open_counter(config, follower) as counter:
        around = replace(counter.around, offline=counter.member.offline)
        await counter.serve(lambda parts: Register(parts, prices), around)
