"""The account store under load, without a wire: shards and depositor of a data folder, in here.

What a switch has below its servicers: every settlement gets its log row with the signed bytes, both
postings and its place in the hash chain, and is durable before it counts. Used by `engine.py` and
the other benches of the store.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from time import perf_counter

from kessai.complaint import Complaint
from kessai.decline import name_of
from server import data_folder, main
from server.domain.command import ACCEPTED
from server.domain.payment import SettlePayment
from server.shards.opening import open_shards
from server.switch.depositor import Depositor
from simulators.load import books, settlements
from simulators.load.audit import Acknowledged, audit
from simulators.load.books import Payees, Population
from simulators.load.processes import PROCESSES, die_quietly, start_processes

# As from so many streams that each send batches of so many payments.
STREAMS, BATCH = 32, 100

# As in kessai.toml of a switch that takes batches; a process for each core.
SHARD_PROCESSES = 2

_MARGIN = 1.3
_FIRST_GUESS_PER_SECOND = 4000.0
_DELIVERY_LIMIT_S = 60.0


class AccountStore:
    """Opened and closed in a running event loop; settles prepared payments as fast as it can."""

    def __init__(self, folder: Path, population: Population) -> None:
        where = data_folder.read_books(folder)
        addresses = where.addresses(folder)
        self.folder, self.population = folder, population
        self.shards = open_shards(
            addresses, where.slots, main.now_us, self._wake, processes=SHARD_PROCESSES
        )
        self.depositor = Depositor(self.shards)
        self.depositor.start()
        self._per_second: dict[Payees, float] = {}
        self.acknowledged = Acknowledged()

    @classmethod
    @asynccontextmanager
    async def open(cls, folder: Path, population: Population) -> AsyncIterator[AccountStore]:
        """Open the store of a data folder; what is owed in the end is delivered first.

        This process then collects garbage as rarely as a switch does.
        """
        main.collect_rarely()
        store = cls(folder, population)
        try:
            yield store
            await store.deliver()
        finally:
            await store.depositor.close()
            store.shards.close()

    async def slice(self, signers: Signers, seconds: float, payees: Payees) -> float:
        """Settle for some seconds; settlements a second, over the time until all is delivered."""
        expected = self._per_second.get(payees, _FIRST_GUESS_PER_SECOND)
        count = int(expected * seconds * _MARGIN) + BATCH
        commands = await signers.prepare(count, self.population, payees)
        batches = deque(commands[i : i + BATCH] for i in range(0, len(commands), BATCH))
        before, begin = self.acknowledged.payments, perf_counter()

        async def stream() -> None:
            while batches:
                await self._settle(batches.popleft())
                if perf_counter() > begin + seconds:
                    return

        await asyncio.gather(*(stream() for _ in range(STREAMS)))
        # Money that is still in transit is not settled on both sides.
        await self.deliver()
        settled, took_s = self.acknowledged.payments - before, perf_counter() - begin
        self._per_second[payees] = settled / took_s
        return self._per_second[payees]

    async def deliver(self) -> None:
        """Wait until no money is in transit; Complaint if that takes too long."""
        try:
            await self.depositor.idle(_DELIVERY_LIMIT_S)
        except TimeoutError:
            raise Complaint(
                f"money was still in transit {_DELIVERY_LIMIT_S:g} s after the load"
            ) from None

    async def _settle(self, batch: Sequence[SettlePayment]) -> None:
        for row in await self.shards.submit_all(batch):
            if isinstance(row, Exception):
                raise row
            if row.decline != ACCEPTED:
                raise Complaint(f"a settlement was declined: {name_of(row.decline)}")
            self.acknowledged.minor += row.amount
        self.acknowledged.payments += len(batch)

    def _wake(self, shard: int) -> None:
        self.depositor.wake(shard)


class Signers:
    """Processes that prepare settlements; each chunk has a seed of its own."""

    def __init__(self, pool: Executor, seed: int) -> None:
        self._pool, self._seed = pool, seed

    @classmethod
    @contextmanager
    def start(cls, seed: int) -> Iterator[Signers]:
        """Start the processes, and end them after use."""
        with start_processes(settlements.start) as pool:
            yield cls(pool, seed)

    async def prepare(
        self, count: int, population: Population, payees: Payees
    ) -> list[SettlePayment]:
        """Make so many settlements, shared out evenly."""
        loop, share = asyncio.get_running_loop(), -(-count // PROCESSES)
        chunks = []
        for _ in range(PROCESSES):
            self._seed += 1
            work = partial(settlements.prepare, share, self._seed, population, payees)
            chunks.append(loop.run_in_executor(self._pool, work))
        return [command for chunk in await asyncio.gather(*chunks) for command in chunk]

    def audit(self, stores: Iterable[AccountStore]) -> None:
        """Audit the books of closed stores, side by side; Complaint if one does not hold."""
        audits = [self._pool.submit(audit, s.folder, s.acknowledged) for s in stores]
        for audited in audits:
            audited.result()


def fill_all(folders: Mapping[Path, Population]) -> None:
    """Open all accounts of data folders that exist."""
    with start_processes(die_quietly) as pool:
        filling = [books.fill(folder, people, pool) for folder, people in folders.items()]
        for shard in chain.from_iterable(filling):
            shard.result()
