"""The tills of a switch under load: each with its own line, driven for a slice of time.

Set-up, slices and checks that `wire.py`, `stream.py` and the other benches over the wire share.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Executor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path

import grpc.aio

from kessai.channel import open_channel
from simulators.load import books, payments
from simulators.load.audit import Acknowledged
from simulators.load.books import Population
from simulators.load.drive import CALL_LIMIT_S, Run, closed_loop, open_loop, rate
from simulators.load.parties import Parties, enroll
from simulators.load.payments import Answered, Payment
from simulators.load.processes import die_quietly, start_processes
from simulators.load.streams import Submit, submit_for
from simulators.load.switch_process import SwitchProcess

IN_FLIGHT = 64
SEED = 20_260_101

_SETTLE = "/kessai.v1.PaymentService/SettlePayment"
_SUBMIT = "/kessai.v1.PaymentService/SubmitBatch"
_NO_OP = "/grpc.health.v1.Health/Check"
_CHUNK = 500
_TRIM = 0.15
_MARGIN = 1.5
_FIRST_GUESS_PER_SECOND = 4000
_MOST_NO_OPS_PER_SECOND = 50_000


Unary = grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]


def set_up(
    data: Path, population: Population, tell: Callable[[str], None], *, limited: bool = False
) -> Parties:
    """Make a data folder with funded accounts, and enter everybody; `limited` as by default."""
    books.create_folder(data, limited=limited)
    with start_processes(die_quietly) as pool:
        tell(f"opening {population.accounts:,} accounts")
        filling = books.fill(data, population, pool)
        parties = enroll(data, population)
        for shard in filling:
            shard.result()
    return parties


@contextmanager
def signing(parties: Parties, population: Population) -> Iterator[Executor]:
    """Give processes that sign payments and check receipts."""
    with start_processes(payments.start_with, parties, population) as signers:
        yield signers


class Tills:
    """All tills, for messages that are bytes already; counts what was acknowledged and dropped."""

    def __init__(self, channels: list[grpc.aio.Channel], signers: Executor) -> None:
        self._settle: list[Unary] = [channel.unary_unary(_SETTLE) for channel in channels]
        self._no_op: list[Unary] = [channel.unary_unary(_NO_OP) for channel in channels]
        self._submit: list[Submit] = [channel.stream_stream(_SUBMIT) for channel in channels]
        self._signers = signers
        self._batch = 0
        self.dropped = 0
        self.acknowledged = Acknowledged()

    @classmethod
    @asynccontextmanager
    async def open(
        cls, parties: Parties, switch: SwitchProcess, signers: Executor
    ) -> AsyncIterator[Tills]:
        """Open the lines, and close them in the end."""
        channels = [
            open_channel(replace(terminal.identity, server_address=switch.running.address))
            for terminal in parties.terminals
        ]
        try:
            yield cls(channels, signers)
        finally:
            await asyncio.gather(*(channel.close() for channel in channels))

    async def settle(self, seconds: float, expected: float = _FIRST_GUESS_PER_SECOND) -> float:
        """Settle by unary calls, 64 in flight; settlements a second, `expected` being a guess."""
        run = await self.drive(await self.queues(seconds, expected), seconds)
        await self.check(run)
        return rate(run)

    async def queues(
        self, seconds: float, expected: float = _FIRST_GUESS_PER_SECOND
    ) -> list[deque[Payment]]:
        """Prepare payments for some seconds of load, and some more: a queue for each till."""
        queues = [deque[Payment]() for _ in self._settle]
        for payment in await self.prepare(int(expected * seconds * _MARGIN) + IN_FLIGHT):
            queues[payment.terminal].append(payment)
        return queues

    async def drive(self, queues: list[deque[Payment]], seconds: float) -> Run[Payment]:
        """Settle by unary calls, 64 in flight, for some seconds or until a queue is empty."""
        return await closed_loop(self.settle_one, queues, IN_FLIGHT, seconds)

    async def no_op(self, seconds: float) -> float:
        """Make no-op calls, as many in flight; calls a second."""
        calls = int(seconds * _MOST_NO_OPS_PER_SECOND / len(self._no_op))
        queues = [deque([line] * calls) for line in range(len(self._no_op))]
        run = await closed_loop(self._no_op_once, queues, IN_FLIGHT, seconds)
        self.dropped += run.dropped
        return rate(run)

    async def submit(self, seconds: float, expected: float = _FIRST_GUESS_PER_SECOND) -> float:
        """Settle by streams of batches, one a till; settlements a second."""
        queues = await self.queues(seconds, expected)
        lines = zip(self._submit, queues, strict=True)
        runs = await asyncio.gather(*(submit_for(*line, seconds) for line in lines))
        for run in runs:
            await self.check(run)
        return rate(*runs)

    async def latencies_ms(self, per_second: float, seconds: float) -> list[float]:
        """Settle at moments of a Poisson process; sorted milliseconds, without the warm-up."""
        prepared = await self.prepare(int(per_second * seconds))
        dice = random.Random(SEED)  # noqa: S311
        run = await open_loop(self.settle_one, prepared, per_second, dice)
        await self.check(run)
        return run.latencies_ms(seconds * _TRIM)

    async def prepare(self, count: int) -> list[Payment]:
        """Have so many payments signed."""
        loop = asyncio.get_running_loop()
        chunks = []
        for first in range(0, count, _CHUNK):
            self._batch += 1
            share, seed = min(_CHUNK, count - first), SEED + self._batch
            chunks.append(loop.run_in_executor(self._signers, payments.prepare, share, seed))
        return [payment for chunk in await asyncio.gather(*chunks) for payment in chunk]

    async def check(self, run: Run[Payment]) -> None:
        """Have the receipts of a run verified, and count them."""
        self.dropped += run.dropped
        answers = [Answered(payment, response) for payment, response in run.answers]
        loop = asyncio.get_running_loop()
        checks = [
            loop.run_in_executor(self._signers, payments.check, answers[first : first + _CHUNK])
            for first in range(0, len(answers), _CHUNK)
        ]
        for checked in await asyncio.gather(*checks):
            self.acknowledged.add(checked)
        self.acknowledged.unknown += len(run.unanswered)

    async def settle_one(self, payment: Payment) -> bytes:
        """Send a payment on its till's line; AioRpcError if it is not answered in time."""
        settle = self._settle[payment.terminal]
        return await settle(payment.message, timeout=CALL_LIMIT_S)

    async def _no_op_once(self, line: int) -> bytes:
        return await self._no_op[line](b"", timeout=CALL_LIMIT_S)
