"""Design rule 2, looked at from outside: beside a running switch the verifier sees no fault."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from random import Random

from server.shards.router import Shards
from tests.unit.server.domain.commands import accounts_on, deposit, open_account, pay
from tests.unit.server.shards.parts import verify_shards
from tests.unit.server.switch.delivering import delivering

SHARDS, ACCOUNTS_EACH = 4, 5
SECONDS = 3.0
LIMIT_S = 60.0
ACCOUNTS = [
    account
    for shard in range(SHARDS)
    for account, _ in zip(accounts_on(shard, SHARDS), range(ACCOUNTS_EACH), strict=False)
]


async def keep_paying(shards: Shards, random: Random, until: float) -> None:
    """Pay to and fro, mostly to other shards."""
    while time.monotonic() < until:
        pairs = [random.sample(ACCOUNTS, 2) for _ in range(20)]
        payments = [pay(payer, payee, random.randint(1, 9)) for payer, payee in pairs]
        await asyncio.gather(*(shards.submit(payment) for payment in payments))


async def test_a_running_switch_always_verifies(tmp_path: Path, random_seed: int) -> None:
    """Shards are read one after another while money is on its way between them."""
    random = Random(random_seed)
    looks = []
    async with delivering(tmp_path, SHARDS) as (shards, depositor):
        for account in ACCOUNTS:
            await shards.submit(open_account(account))
            await shards.submit(deposit(account, 10_000))
        until = time.monotonic() + SECONDS
        paying = asyncio.create_task(keep_paying(shards, random, until))
        while time.monotonic() < until:
            looks.append(await asyncio.to_thread(verify_shards, tmp_path, SHARDS))
        async with asyncio.timeout(LIMIT_S):
            await paying
            await depositor.idle(LIMIT_S)
    assert [fault for look in looks for fault in look.faults] == []
    last = verify_shards(tmp_path, SHARDS)
    assert (last.faults, last.in_transit) == ([], 0)
    assert len(looks) > 2
    assert looks[0].rows < looks[-1].rows < last.rows + 1
