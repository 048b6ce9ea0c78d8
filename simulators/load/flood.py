"""The flood bench: what honest terminals see while one of them attacks the switch.

Seven of eight terminals pay at moments of a Poisson process, their share each. The eighth attacks
in one way after another from a process of its own, and is quiet between. In the end the switch is
stopped and its books are verified.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import uvloop

from kessai.complaint import Complaint
from simulators.load import attacks
from simulators.load.attacks import Attack, Target
from simulators.load.audit import Acknowledged, audit
from simulators.load.books import Population
from simulators.load.figures import percentile
from simulators.load.flood_figures import FloodFigures, UnderAttack
from simulators.load.parties import Parties
from simulators.load.switch_process import SwitchProcess
from simulators.load.tills import Tills, set_up, signing

# What each honest terminal asks for a second, and by how much more the hostile one.
SHARE_PER_SECOND = 15.0
TIMES = 10

# Shares of the seconds: each attack, the calm before each, and the warm-up before them all.
_ATTACK, _CALM, _WARM_UP = 0.12, 0.06, 0.1
_LOOK_EVERY_S = 0.2


def run_flood(
    folder: Path, seconds: float, accounts: int, tell: Callable[[str], None]
) -> FloodFigures:
    """Measure in an empty folder; Complaint if the books do not show what was acknowledged."""
    population, data = Population(accounts), folder / "data"
    parties = set_up(data, population, tell, limited=True)
    honest, hostile = attacks.hostile(parties, len(parties.terminals) - 1)
    with (
        SwitchProcess(data) as switch,
        signing(honest, population) as signers,
    ):

        async def measure() -> tuple[Flood, FloodFigures]:
            async with Tills.open(honest, switch, signers) as tills:
                flood = Flood(tills, switch, hostile, population, len(honest.terminals))
                return flood, await flood.measure(seconds, tell)

        flood, figures = uvloop.run(measure())
        tell("stopping the switch")
        switch.stop()
    tell("verifying the books")
    audit(data, flood.acknowledged)
    return figures


class Flood:
    """The phases of the bench."""

    def __init__(
        self,
        tills: Tills,
        switch: SwitchProcess,
        hostile: Parties,
        population: Population,
        honest: int,
    ) -> None:
        self._tills, self._switch = tills, switch
        self._hostile, self._population = hostile, population
        self._per_second = SHARE_PER_SECOND * honest
        running = switch.running
        self._target = Target(
            running.address,
            running.pairing_address,
            hostile.terminals[0].identity,
            TIMES * SHARE_PER_SECOND,
        )

    @property
    def acknowledged(self) -> Acknowledged:
        """What honest terminals were told; the hostile one's payments may be settled, or not."""
        own, every = self._tills.acknowledged, Acknowledged()
        every.join(own)
        every.unknown += self._hostile_payments
        return every

    async def measure(self, seconds: float, tell: Callable[[str], None]) -> FloodFigures:
        """All phases; Complaint if nothing was answered in one."""
        tell("warming up")
        await self._honest(seconds * _WARM_UP)
        calm: list[float] = []
        under: dict[Attack, UnderAttack] = {}
        self._hostile_payments = 0
        for attack in Attack:
            tell(f"calm before {attack.replace('_', ' ')}")
            calm += await self._honest(seconds * _CALM)
            tell(f"under attack: {attack.replace('_', ' ')}")
            under[attack] = await self._attacked(attack, seconds * _ATTACK)
        calm.sort()
        return FloodFigures(
            calm_p50_ms=percentile(calm, 50),
            calm_p99_ms=percentile(calm, 99),
            attacks=under,
            dropped=self._tills.dropped,
            acknowledged=self._tills.acknowledged.payments,
        )

    async def _honest(self, seconds: float) -> list[float]:
        latencies = await self._tills.latencies_ms(self._per_second, seconds)
        if not latencies:
            raise Complaint("no payment was answered in time: measure longer, with --seconds")
        return latencies

    async def _attacked(self, attack: Attack, seconds: float) -> UnderAttack:
        loop = asyncio.get_running_loop()
        with _attacker(self._hostile, self._population) as attacker:
            arm = partial(attacks.arm, attack, self._target.per_second, seconds)
            await loop.run_in_executor(attacker, arm)
            before_mb, _ = self._switch.memory_mb()
            looking = asyncio.create_task(self._most_memory_mb())
            strike = partial(attacks.strike, attack, self._target, seconds)
            striking = loop.run_in_executor(attacker, strike)
            latencies = await self._honest(seconds)
            struck = await striking
            looking.cancel()
        if attack is Attack.TEN_TIMES:
            self._hostile_payments = struck.sent
        growth_mb = self._most_mb - before_mb
        return UnderAttack(percentile(latencies, 50), percentile(latencies, 99), growth_mb, struck)

    async def _most_memory_mb(self) -> None:
        self._most_mb = 0.0
        while True:
            self._most_mb = max(self._most_mb, self._switch.memory_mb()[0])
            await asyncio.sleep(_LOOK_EVERY_S)


def _attacker(hostile: Parties, population: Population) -> Executor:
    context = get_context("forkserver")
    return ProcessPoolExecutor(
        1, context, initializer=attacks.start_with, initargs=(hostile, population)
    )
