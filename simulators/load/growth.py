"""The growth bench: what many accounts and long histories cost.

A settlement with many accounts against one with ten thousand, through the shards, in turn. Then a
switch serves the many: a statement page of an account with a long history against one with a short,
over the wire; reads while it settles as fast as it can; and its memory. Called by `cli.py`.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import uvloop

from simulators.load import books
from simulators.load.account_store import AccountStore, Signers, fill_all
from simulators.load.audit import Acknowledged
from simulators.load.books import Payees, Population
from simulators.load.parties import enroll
from simulators.load.reads import Latencies, Statements
from simulators.load.store_figures import GrowthFigures
from simulators.load.switch_process import SwitchProcess
from simulators.load.tills import Tills, signing

FEW_ACCOUNTS = 10_000
SHORT_HISTORY = 100
ROUNDS = 3
SEED = 20_260_105

_MERCHANTS, _TILLS = 1000, 8
_FUNDED = 100_000
# The accounts, by their index, of the long and the short history.
_LONG, _SHORT = 0, 1
# Shares of the seconds: each store's warm-up and slices, the reads, and the reads under load.
_WARM_UP, _SLICE, _READS = 0.1, 0.1, 0.1


def run_growth(
    folder: Path, seconds: float, accounts: int, rows: int, tell: Callable[[str], None]
) -> GrowthFigures:
    """Measure in an empty folder; Complaint if the books do not show what was acknowledged.

    `rows` is the length of the long history.
    """
    few = Population(FEW_ACCOUNTS, merchants=_MERCHANTS)
    many = Population(
        accounts,
        merchants=_MERCHANTS,
        funded_every=max(1, accounts // _FUNDED),
        history={_LONG: rows, _SHORT: SHORT_HISTORY},
    )
    folders = {folder / "few": few, folder / "many": many}
    for data in folders:
        books.create_folder(data)
    tell(f"opening {accounts:,} accounts")
    fill_all(folders)
    with Signers.start(SEED) as signers:
        stores, cost = uvloop.run(_compare(folders, signers, seconds, tell))
        served, acknowledged = _serve(folder / "many", many, seconds, tell)
        stores[1].acknowledged.join(acknowledged)
        tell("verifying the books")
        signers.audit(stores)
    return replace(served, ratio=cost)


async def _compare(
    folders: dict[Path, Population],
    signers: Signers,
    seconds: float,
    tell: Callable[[str], None],
) -> tuple[list[AccountStore], float]:
    """Settle with few and with many accounts in turn; the stores, and what many cost more."""
    async with AsyncExitStack() as stack:
        stores = [
            await stack.enter_async_context(AccountStore.open(folder, population))
            for folder, population in folders.items()
        ]
        tell("warming up")
        for store in stores:
            await store.slice(signers, seconds * _WARM_UP, Payees.UNIFORM)
        rates: list[list[float]] = [[], []]
        for number in range(ROUNDS):
            tell(f"settling, round {number + 1} of {ROUNDS}")
            for store, own in zip(stores, rates, strict=True):
                own.append(await store.slice(signers, seconds * _SLICE, Payees.UNIFORM))
        few, many = map(statistics.median, rates)
    return stores, few / many


def _serve(
    data: Path, population: Population, seconds: float, tell: Callable[[str], None]
) -> tuple[GrowthFigures, Acknowledged]:
    people = replace(population, merchants=_TILLS)
    parties = enroll(data, people)
    with SwitchProcess(data) as switch, signing(parties, people) as signers:

        async def measure() -> tuple[Tills, Latencies, Latencies]:
            long, short = (population.account(index)[0] for index in (_LONG, _SHORT))
            async with (
                Tills.open(parties, switch, signers) as tills,
                Statements.open(data, switch, long, short) as statements,
            ):
                tell("reading statements")
                idle = await statements.read_for(seconds * _READS)
                tell("reading statements under load")
                loaded = await statements.read_while(tills.settle(seconds * _READS))
                return tills, idle, loaded

        tills, idle, loaded = uvloop.run(measure())
        resident_mb, _ = switch.memory_mb()
        switch.stop()
    figures = GrowthFigures(
        accounts=population.accounts,
        ratio=0.0,
        statement_ratio=idle.statement_ratio,
        rss_mb=resident_mb,
        statement_ms=idle.long_ms,
        read_p99_ms=idle.p99_ms,
        loaded_read_p99_ms=loaded.p99_ms,
    )
    return figures, tills.acknowledged
