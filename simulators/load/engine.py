"""The engine bench: durable settlements a second through the shards, against pgbench's TPC-B.

On SQLite shards, and on PostgreSQL shards of the very server that runs pgbench, on the same disk.
They take turns in short slices; the figures are medians. There is no wire and nobody verifies a
signature. In the end both books are verified. Called by `cli.py`.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import uvloop

from simulators.load import books
from simulators.load.account_store import AccountStore, Signers, fill_all
from simulators.load.books import SHARDS, Payees, Population
from simulators.load.postgres_server import MISSING, PostgresServer, find_binaries
from simulators.load.store_figures import EngineFigures

ROUNDS = 3
MERCHANTS = 1000
SEED = 20_260_103
PGBENCH_SCALE = 10
PGBENCH_CLIENTS = (1, 8, 32)

# Shares of the seconds: a warm-up of each engine, a slice of each, and of pgbench.
_WARM_UP, _SLICE, _PGBENCH = 0.03, 0.1, 0.08


class NoRival(Exception):
    """PostgreSQL cannot be measured here; the message says why."""


@dataclass
class _Slices:
    """What each slice gave: settlements or transactions a second."""

    sqlite: list[float] = field(default_factory=list)
    postgresql: list[float] = field(default_factory=list)
    pgbench: list[float] = field(default_factory=list)


def run_engine(
    folder: Path, seconds: float, accounts: int, payees: Payees, tell: Callable[[str], None]
) -> EngineFigures:
    """Measure in an empty folder; Complaint if the books do not show what was acknowledged.

    Without PostgreSQL only the settlements on SQLite are measured.
    """
    population = Population(accounts, merchants=MERCHANTS)
    try:
        with _rival(folder, tell) as server:
            slices = _measure(folder, population, payees, seconds, server, tell)
        return _figures(slices, "")
    except NoRival as why:
        return _figures(_measure(folder, population, payees, seconds, None, tell), str(why))


@contextmanager
def _rival(folder: Path, tell: Callable[[str], None]) -> Iterator[PostgresServer]:
    binaries = find_binaries()
    if binaries is None:
        raise NoRival(MISSING)
    if find_spec("psycopg") is None:
        raise NoRival("a shard on PostgreSQL needs psycopg: pip install 'kessai[postgresql]'")
    tell("starting PostgreSQL")
    server = PostgresServer.create_in(binaries, _place_for_nobody(folder))
    try:
        server.prepare_pgbench(PGBENCH_SCALE)
        yield server
    finally:
        server.remove()


def _place_for_nobody(folder: Path) -> Path:
    """Find a folder on the same disk that PostgreSQL's unprivileged user can reach."""
    if os.geteuid() != 0:
        return folder
    folder.chmod(0o711)
    for place in (folder, Path(tempfile.gettempdir())):
        reachable = all(above.stat().st_mode & 0o001 for above in (place, *place.parents))
        if reachable and place.stat().st_dev == folder.stat().st_dev:
            return place
    raise NoRival(f"PostgreSQL does not run as root, and nobody else can reach {folder}")


def _measure(
    folder: Path,
    population: Population,
    payees: Payees,
    seconds: float,
    server: PostgresServer | None,
    tell: Callable[[str], None],
) -> _Slices:
    sqlite, postgresql = folder / "sqlite", folder / "postgresql"
    books.create_folder(sqlite)
    if server is not None:
        books.create_folder(postgresql, [server.url] * SHARDS)
    folders = [sqlite, postgresql] if server else [sqlite]
    tell(f"opening {population.accounts:,} accounts")
    fill_all(dict.fromkeys(folders, population))
    with Signers.start(SEED) as signers:
        bench = _EngineBench(signers, payees, seconds, server, tell)
        stores = uvloop.run(bench.run(folders, population))
        tell("verifying the books")
        signers.audit(stores)
    return bench.slices


class _EngineBench:
    """One run: engines and rival in turn."""

    def __init__(
        self,
        signers: Signers,
        payees: Payees,
        seconds: float,
        server: PostgresServer | None,
        tell: Callable[[str], None],
    ) -> None:
        self._signers, self._payees = signers, payees
        self._seconds, self._server, self._tell = seconds, server, tell
        self.slices = _Slices()

    async def run(self, folders: list[Path], population: Population) -> list[AccountStore]:
        """Measure on SQLite, and on PostgreSQL if there is a second folder."""
        async with AsyncExitStack() as stack:
            stores = [
                await stack.enter_async_context(AccountStore.open(folder, population))
                for folder in folders
            ]
            self._tell("warming up")
            for store in stores:
                await self._slice(store, _WARM_UP)
            clients = self._best_clients()
            for number in range(ROUNDS):
                self._tell(f"round {number + 1} of {ROUNDS}")
                engines = (self.slices.sqlite, self.slices.postgresql)
                for store, rates in zip(stores, engines, strict=False):
                    rates.append(await self._slice(store, _SLICE))
                self._run_pgbench(clients)
        return stores

    async def _slice(self, store: AccountStore, share: float) -> float:
        return await store.slice(self._signers, self._seconds * share, self._payees)

    def _best_clients(self) -> int:
        if self._server is None:
            return 0
        self._tell("looking for pgbench's best number of clients")
        server = self._server
        return max(PGBENCH_CLIENTS, key=lambda clients: server.pgbench(clients, 1))

    def _run_pgbench(self, clients: int) -> None:
        if self._server is not None:
            seconds = max(1, round(self._seconds * _PGBENCH))
            self.slices.pgbench.append(self._server.pgbench(clients, seconds))


def _figures(slices: _Slices, note: str) -> EngineFigures:
    def median(rates: list[float]) -> float | None:
        return statistics.median(rates) if rates else None

    return EngineFigures(
        settlements_per_second=statistics.median(slices.sqlite),
        postgresql_settlements_per_second=median(slices.postgresql),
        pgbench_tps=median(slices.pgbench),
        note=note,
    )
