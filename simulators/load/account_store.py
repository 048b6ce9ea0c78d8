"""The account store under load, without a wire: shards and depositor of a data folder, in here.

What a switch has below its servicers: every settlement gets its log row with the signed bytes, both
postings and its place in the hash chain, and is durable before it counts. Used by `engine.py` and
the other benches of the store.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Executor
from pathlib import Path
from time import perf_counter

from kessai.complaint import Complaint
from kessai.decline import name_of
from server import data_folder, main
from server.domain.command import ACCEPTED
from server.domain.payment import SettlePayment
from server.shards.router import open_shards
from server.switch.depositor import Depositor
from simulators.load import settlements
from simulators.load.audit import Acknowledged

# As from so many streams that each send batches of so many payments.
STREAMS, BATCH = 32, 100

_TRIM = 0.15
_MARGIN = 1.5
_FIRST_GUESS_PER_SECOND = 4000.0
_DELIVERY_LIMIT_S = 60.0


class AccountStore:
    """Opened and closed in a running event loop; settles prepared payments as fast as it can."""

    def __init__(self, folder: Path) -> None:
        books = data_folder.read_books(folder)
        addresses = books.addresses(folder)
        self.shards = open_shards(addresses, books.slots, main.now_us, self._wake)
        self._depositor = Depositor(self.shards)
        self._depositor.start()
        self._per_second = _FIRST_GUESS_PER_SECOND
        self.acknowledged = Acknowledged()

    async def slice(self, signers: Signers, seconds: float) -> float:
        """Settle for some seconds; settlements a second, all delivered, without the warm-up."""
        commands = await signers.prepare(int(self._per_second * seconds * _MARGIN) + BATCH)
        batches = deque(commands[i : i + BATCH] for i in range(0, len(commands), BATCH))
        begin = perf_counter()
        counting = begin + seconds * _TRIM
        done: list[tuple[float, int]] = []

        async def stream() -> None:
            while batches and perf_counter() < begin + seconds:
                batch = batches.popleft()
                await self._settle(batch)
                done.append((perf_counter(), len(batch)))

        await asyncio.gather(*(stream() for _ in range(STREAMS)))
        # Money that is still in transit is not settled on both sides.
        await self._depositor.idle(_DELIVERY_LIMIT_S)
        counted = sum(payments for end, payments in done if end > counting)
        self._per_second = counted / (perf_counter() - counting)
        return self._per_second

    async def close(self) -> None:
        """Stop delivering, and close the shards."""
        await self._depositor.close()
        self.shards.close()

    async def _settle(self, batch: Sequence[SettlePayment]) -> None:
        shards = self.shards
        rows = await asyncio.gather(*(shards.submit(command) for command in batch))
        for row in rows:
            if row.decline != ACCEPTED:
                raise Complaint(f"a settlement was declined: {name_of(row.decline)}")
            self.acknowledged.minor += row.amount
        self.acknowledged.payments += len(rows)

    def _wake(self, shard: int) -> None:
        self._depositor.wake(shard)


class Signers:
    """Processes that prepare settlements; each gets a seed of its own."""

    def __init__(self, pool: Executor, processes: int, seed: int) -> None:
        self._pool, self._processes, self._seed = pool, processes, seed

    async def prepare(self, count: int) -> list[SettlePayment]:
        """Make so many settlements, shared out evenly."""
        loop, share = asyncio.get_running_loop(), -(-count // self._processes)
        chunks = []
        for _ in range(self._processes):
            self._seed += 1
            chunks.append(loop.run_in_executor(self._pool, settlements.prepare, share, self._seed))
        return [command for chunk in await asyncio.gather(*chunks) for command in chunk]
