"""The recovery bench: SIGKILL under load, and how soon the switch settles again.

Measured from the kill to the first receipt of a payment that was sent after it: that is a new
process, its start, the recovery of the shards' files, and a settlement. Three times; the figure is
the median. What was not answered is sent again, as terminals do. In the end the books are verified,
and show every payment once. Called by `cli.py`.
"""

from __future__ import annotations

import asyncio
import random
import statistics
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter

import grpc.aio
import uvloop

from kessai.complaint import Complaint
from simulators.load.audit import Acknowledged, audit
from simulators.load.books import Population
from simulators.load.drive import CALL_LIMIT_S, Run
from simulators.load.parties import Parties
from simulators.load.payments import Payment
from simulators.load.store_figures import RecoveryFigures
from simulators.load.switch_process import SwitchProcess
from simulators.load.tills import Tills, set_up, signing

ROUNDS = 3
SEED = 20_260_106

_RECOVERY_LIMIT_S = 30.0
_LOOK_EVERY_S = 0.02


def run_recovery(
    folder: Path, seconds: float, accounts: int, rows: int, tell: Callable[[str], None]
) -> RecoveryFigures:
    """Measure in an empty folder, with so many rows in the log before the load.

    Complaint if the switch does not come back, or the books do not show what was acknowledged.
    """
    population, data = Population(accounts, deposits=max(1, rows // accounts - 1)), folder / "data"
    parties = set_up(data, population, tell)
    with ExitStack() as stack:
        signers = stack.enter_context(signing(parties, population))
        bench = _RecoveryBench(data, stack, tell)
        for number in range(ROUNDS):
            tell(f"killing the switch under load, {number + 1} of {ROUNDS}")
            uvloop.run(bench.kill_and_recover(parties, signers, seconds / ROUNDS))
        bench.switch.stop()
    tell("verifying the books")
    begin = perf_counter()
    report = audit(data, bench.acknowledged)
    return RecoveryFigures(
        restart_s=statistics.median(bench.restarts_s),
        slowest_s=max(bench.restarts_s),
        rows=report.rows,
        verify_s=perf_counter() - begin,
        acknowledged=bench.acknowledged.payments,
    )


class _RecoveryBench:
    """The switch that is killed, and what came of its payments."""

    def __init__(self, data: Path, stack: ExitStack, tell: Callable[[str], None]) -> None:
        self._data, self._stack = data, stack
        self._dice = random.Random(SEED)  # noqa: S311
        tell("starting the switch")
        self.switch = stack.enter_context(SwitchProcess(data))
        self.restarts_s: list[float] = []
        self.acknowledged = Acknowledged()

    async def kill_and_recover(self, parties: Parties, signers: Executor, seconds: float) -> None:
        """Load, kill at a random moment of the second half, start again, and ask once more."""
        async with Tills.open(parties, self.switch, signers) as tills:
            queues = await tills.queues(seconds)
            probe = queues[0].pop()
            loading = asyncio.create_task(tills.drive(queues, CALL_LIMIT_S + seconds))
            await asyncio.sleep(seconds * self._dice.uniform(0.5, 1.0))
            if loading.done():
                raise Complaint("there was no load when the switch was killed: use less --seconds")
            self.switch.kill()
            killed = perf_counter()
            for queue in queues:
                queue.clear()
            self.switch = self._stack.enter_context(SwitchProcess(self._data))
            async with Tills.open(parties, self.switch, signers) as again:
                first = await _first_receipt(again, probe)
                self.restarts_s.append(perf_counter() - killed)
                run = await loading
                # As a terminal does: what was not answered is sent again, and settles once.
                unanswered, run.unanswered = run.unanswered, []
                repeated = await again.drive([deque(unanswered)], CALL_LIMIT_S)
                for answered in (first, run, repeated):
                    await again.check(answered)
                self.acknowledged.join(again.acknowledged)


async def _first_receipt(tills: Tills, payment: Payment) -> Run[Payment]:
    deadline = perf_counter() + _RECOVERY_LIMIT_S
    while perf_counter() < deadline:
        try:
            return Run(answers=[(payment, await tills.settle_one(payment))])
        except grpc.aio.AioRpcError:
            await asyncio.sleep(_LOOK_EVERY_S)
    raise Complaint(f"the switch did not settle within {_RECOVERY_LIMIT_S:g} s of its new start.")
