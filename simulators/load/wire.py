"""The wire bench: signed settlements over mutual TLS against no-op calls of the same server.

Fills a data folder, starts `kessai serve` on it, and drives it from this process. Settlements and
no-ops take turns in short slices, so that whatever else the machine does meets both alike; the
figures are medians. Then payments arrive at half the measured throughput, for the latency. In the
end the switch is stopped and its books are verified: they must show every acknowledged payment.
Called by `cli.py`.
"""

from __future__ import annotations

import asyncio
import random
import statistics
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import grpc.aio
import uvloop

from kessai.channel import open_channel
from kessai.complaint import Complaint
from simulators.load import books, payments
from simulators.load.audit import Acknowledged, audit
from simulators.load.books import Population
from simulators.load.drive import CALL_LIMIT_S, Run, closed_loop, open_loop
from simulators.load.figures import WireFigures, percentile
from simulators.load.parties import Parties, enroll
from simulators.load.payments import Answered, Payment
from simulators.load.switch_process import SwitchProcess

IN_FLIGHT = 64
ROUNDS = 5
SEED = 20_260_101

_SETTLE = "/kessai.v1.PaymentService/SettlePayment"
_NO_OP = "/grpc.health.v1.Health/Check"
_PROCESSES = 2
_CHUNK = 500
# Shares of the seconds: each slice, the warm-up of each kind before them, and the open loop.
_SLICE, _WARM_UP, _OPEN_LOOP = 0.06, 0.05, 0.3
_TRIM = 0.15
_MARGIN = 1.5
_FIRST_GUESS_PER_SECOND = 4000
_MOST_NO_OPS_PER_SECOND = 50_000


def run_wire(
    folder: Path, seconds: float, accounts: int, tell: Callable[[str], None]
) -> WireFigures:
    """Measure in an empty folder; Complaint if the books do not show what was acknowledged.

    `tell` is told what is being done. About `seconds` of load, and the set-up before it.
    """
    population, data = Population(accounts), folder / "data"
    context = get_context("spawn")
    books.create_folder(data)
    with ProcessPoolExecutor(_PROCESSES, context, books.die_quietly) as pool:
        tell(f"opening {accounts:,} accounts")
        filling = books.fill(data, population, pool)
        parties = enroll(data, population)
        for shard in filling:
            shard.result()
    signers = ProcessPoolExecutor(
        _PROCESSES, context, initializer=payments.start_with, initargs=(parties, population)
    )
    with SwitchProcess(data) as switch, signers:
        bench = _WireBench(signers, seconds, tell)
        figures = uvloop.run(bench.run(parties, switch))
        tell("stopping the switch")
        switch.stop()
    tell("verifying the books")
    audit(data, bench.acknowledged)
    return figures


class _WireBench:
    """One run: prepares, drives, checks, and remembers what was acknowledged."""

    def __init__(self, signers: Executor, seconds: float, tell: Callable[[str], None]) -> None:
        self._signers, self._seconds, self._tell = signers, seconds, tell
        self._batch = 0
        self._dropped = 0
        self.acknowledged = Acknowledged()

    async def run(self, parties: Parties, switch: SwitchProcess) -> WireFigures:
        channels = [
            open_channel(replace(terminal.identity, server_address=switch.running.address))
            for terminal in parties.terminals
        ]
        try:
            lines = _Lines(channels)
            settled, no_ops = await self._throughput(lines)
            latencies = await self._latency(lines, settled / 2)
        finally:
            await asyncio.gather(*(channel.close() for channel in channels))
        resident_mb, peak_mb = switch.memory_mb()
        return WireFigures(
            settlements_per_second=settled,
            noop_per_second=no_ops,
            p50_ms=percentile(latencies, 50),
            p99_ms=percentile(latencies, 99),
            rss_mb=resident_mb,
            peak_mb=peak_mb,
            dropped=self._dropped,
            acknowledged=self.acknowledged.payments,
        )

    async def _throughput(self, lines: _Lines) -> tuple[float, float]:
        rate = float(_FIRST_GUESS_PER_SECOND)
        self._tell("warming up")
        rate = await self._settle_slice(lines, rate, _WARM_UP)
        await self._no_op_slice(lines, _WARM_UP)
        settled, no_ops = [], []
        for number in range(ROUNDS):
            self._tell(f"round {number + 1} of {ROUNDS}: {rate:,.0f} settlements a second")
            rate = await self._settle_slice(lines, rate, _SLICE)
            settled.append(rate)
            no_ops.append(await self._no_op_slice(lines, _SLICE))
        return statistics.median(settled), statistics.median(no_ops)

    async def _settle_slice(self, lines: _Lines, expected: float, share: float) -> float:
        seconds = self._seconds * share
        prepared = await self._prepare(int(expected * seconds * _MARGIN) + IN_FLIGHT)
        queues = [deque[Payment]() for _ in range(lines.count)]
        for payment in prepared:
            queues[payment.terminal].append(payment)
        run = await closed_loop(lines.settle, queues, IN_FLIGHT, seconds)
        await self._check(run)
        return run.rate(seconds * _TRIM)

    async def _no_op_slice(self, lines: _Lines, share: float) -> float:
        seconds = self._seconds * share
        calls = int(seconds * _MOST_NO_OPS_PER_SECOND / lines.count)
        queues = [deque([line] * calls) for line in range(lines.count)]
        run = await closed_loop(lines.no_op, queues, IN_FLIGHT, seconds)
        self._dropped += run.dropped
        return run.rate(seconds * _TRIM)

    async def _latency(self, lines: _Lines, per_second: float) -> list[float]:
        seconds = self._seconds * _OPEN_LOOP
        self._tell(f"latency at {per_second:,.0f} payments a second")
        prepared = await self._prepare(int(per_second * seconds))
        run = await open_loop(lines.settle, prepared, per_second, random.Random(SEED))  # noqa: S311
        await self._check(run)
        latencies = run.latencies_ms(seconds * _TRIM)
        if not latencies:
            raise Complaint("no payment was answered in time: measure longer, with --seconds")
        return latencies

    async def _prepare(self, count: int) -> list[Payment]:
        loop = asyncio.get_running_loop()
        chunks = []
        for _ in range(-(-count // _CHUNK)):
            self._batch += 1
            seed = SEED + self._batch
            chunks.append(loop.run_in_executor(self._signers, payments.prepare, _CHUNK, seed))
        return [payment for chunk in await asyncio.gather(*chunks) for payment in chunk][:count]

    async def _check(self, run: Run[Payment]) -> None:
        self._dropped += run.dropped
        answers = [Answered(payment, response) for payment, response in run.answers]
        loop = asyncio.get_running_loop()
        checks = [
            loop.run_in_executor(self._signers, payments.check, answers[first : first + _CHUNK])
            for first in range(0, len(answers), _CHUNK)
        ]
        for checked in await asyncio.gather(*checks):
            self.acknowledged.add(checked)
        self.acknowledged.unknown += len(run.unanswered)


@dataclass(frozen=True, slots=True)
class _Line:
    settle: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]
    no_op: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]


class _Lines:
    """The terminals' lines, for messages that are bytes already."""

    def __init__(self, channels: list[grpc.aio.Channel]) -> None:
        self._lines = [
            _Line(channel.unary_unary(_SETTLE), channel.unary_unary(_NO_OP)) for channel in channels
        ]

    @property
    def count(self) -> int:
        return len(self._lines)

    async def settle(self, payment: Payment) -> bytes:
        line = self._lines[payment.terminal]
        return await line.settle(payment.message, timeout=CALL_LIMIT_S)

    async def no_op(self, line: int) -> bytes:
        return await self._lines[line].no_op(b"", timeout=CALL_LIMIT_S)
