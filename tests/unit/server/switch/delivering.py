"""Shards with a depositor at work, wired as bootstrap wires them. Shared by the tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from server.shards.router import Shards
from server.switch.depositor import Depositor
from tests.unit.server.shards.parts import open_shards


@asynccontextmanager
async def delivering(folder: Path, count: int) -> AsyncIterator[tuple[Shards, Depositor]]:
    """Open shards, made if need be, and bring what they owe to each other."""
    depositors: list[Depositor] = []

    def on_owed(shard: int) -> None:
        depositors[0].wake(shard)

    shards = open_shards(folder, count, on_owed=on_owed)
    depositors.append(Depositor(shards))
    depositors[0].start()
    try:
        yield shards, depositors[0]
    finally:
        await depositors[0].close()
        shards.close()
