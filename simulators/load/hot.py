"""The hot bench: every payment to one distributed payee, against payees drawn evenly.

Both on the same shards, in turn; the figure is the ratio of the medians. What the
payee's auxiliaries hold is merged meanwhile, as a switch does by itself. Called by `cli.py`.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable
from pathlib import Path

import uvloop

from kessai.account_number import format_account
from kessai.request_id import format_request_id, new_request_id
from kessai.v1.account_pb2 import DistributeAccountRequest
from server import data_folder, main
from server.config import ServerConfig
from server.switch.busy_payees import BusyPayees
from server.switch.merge import Merge
from server.switch.settle import Settle
from simulators.load import books
from simulators.load.account_store import AccountStore, Signers, fill_all
from simulators.load.books import Payees, Population
from simulators.load.store_figures import HotFigures

ROUNDS = 5
MERCHANTS = 1000
SEED = 20_260_104

# Shares of the seconds: a warm-up of each kind, and each slice.
_WARM_UP, _SLICE = 0.05, 0.09


def run_hot(folder: Path, seconds: float, accounts: int, tell: Callable[[str], None]) -> HotFigures:
    """Measure in an empty folder; Complaint if the books do not show what was acknowledged."""
    data, population = folder / "data", Population(accounts, merchants=MERCHANTS)
    books.create_folder(data)
    tell(f"opening {accounts:,} accounts")
    fill_all({data: population})
    with Signers.start(SEED) as signers:
        store, figures = uvloop.run(_measure(data, population, signers, seconds, tell))
        tell("verifying the books")
        signers.audit([store])
    return figures


async def _measure(
    data: Path,
    population: Population,
    signers: Signers,
    seconds: float,
    tell: Callable[[str], None],
) -> tuple[AccountStore, HotFigures]:
    async with AccountStore.open(data, population) as store:
        every_s, settle = ServerConfig().merge_every_s, Settle(store.shards, main.now_us)
        merge = Merge(store.shards, settle, store.depositor, main.now_us, os.urandom, every_s)
        await _distribute(store)
        merge.start()
        tell("warming up")
        for payees in (Payees.ONE, Payees.UNIFORM):
            await store.slice(signers, seconds * _WARM_UP, payees)
        hot, uniform = [], []
        for number in range(ROUNDS):
            tell(f"round {number + 1} of {ROUNDS}")
            hot.append(await store.slice(signers, seconds * _SLICE, Payees.ONE))
            uniform.append(await store.slice(signers, seconds * _SLICE, Payees.UNIFORM))
        await merge.close()
    return store, HotFigures(statistics.median(hot), statistics.median(uniform))


async def _distribute(store: AccountStore) -> None:
    """Open the auxiliaries of the first merchant, as an operator does."""
    request_id = new_request_id(main.now_us() // 1000, os.urandom)
    account = store.population.merchant_account(0)
    message = DistributeAccountRequest(
        request_id=format_request_id(request_id), account_number=format_account(account)
    )
    busy_payees = BusyPayees(store.shards, Settle(store.shards, main.now_us))
    await busy_payees.distribute(message, request_id, account, data_folder.OPERATOR_NAME)
