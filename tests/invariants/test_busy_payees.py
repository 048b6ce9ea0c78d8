"""A busy payee's total is the sum of his payments, always (row B12), wherever the switch crashes.

Random payments to distributed and other payees on four shards, with merges in between, by
themselves and on demand. In each life the stores die together at a random commit, just before it or
just after it; what nobody knows the outcome of is asked for again in the next.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from random import Random

import pytest

from server.domain.command import ACCEPTED, Command
from server.domain.document import Document
from server.domain.payment import SettlePayment
from server.ledger.account import Account
from server.ledger.chart import HOUSE_KINDS
from server.ledger.transfer import Hold
from server.shards.placement import Moved, ShardPlace, SlotMap
from server.shards.router import Shards
from server.shards.settlement_log import LogRow
from server.shards.shard import Shard
from server.shards.store import Batch, Residents, Store, StoreUnavailable, Tail
from server.switch.busy_payees import BusyPayees
from server.switch.depositor import Depositor
from server.switch.merge import Merge
from server.switch.refused import Unavailable
from server.switch.settle import Settle
from tests.unit.server.domain.commands import (
    EUR,
    accounts_on,
    deposit,
    fresh_id,
    open_account,
    open_auxiliary,
    pay,
)
from tests.unit.server.shards.parts import Clock, Stores, open_reader, verify_shards

SHARDS, LIVES, STEPS, LIMIT_S = 4, 16, 40, 120.0
CASH, NEVER = 1_000_000, 2**62
PAYERS = [next(accounts_on(shard, SHARDS)) for shard in range(SHARDS)]
BUSY = [next(accounts_on(shard, SHARDS, first=500)) for shard in (0, 3)]
QUIET = next(accounts_on(1, SHARDS, first=500))
PAYEES = [*BUSY, QUIET]


class Fate:
    """When all stores die: at the commit that `left` counts down to, written or not."""

    def __init__(self, left: int, is_written: bool) -> None:
        self._left, self._is_written = left, is_written
        self._lock = threading.Lock()
        self.is_over = False

    def commit(self, write: Callable[[], None]) -> None:
        """Write, unless it is over by now."""
        with self._lock:
            self._left -= 1
            if self.is_over or self._left == 0:
                if not self.is_over and self._is_written:
                    write()
                self.is_over = True
                raise StoreUnavailable("the switch is dead")
            write()

    def governs(self, store: Store) -> MortalStore:
        """Let a store share it."""
        return MortalStore(store, self)


class MortalStore:
    """A store that shares the fate of others."""

    def __init__(self, store: Store, fate: Fate) -> None:
        self.store, self.fate = store, fate

    def begin(self) -> Tail:
        return self.store.begin()

    def rows(self, request_ids: Sequence[bytes]) -> dict[bytes, LogRow]:
        return self.store.rows(request_ids)

    def accounts(self, ids: Sequence[int]) -> list[Account]:
        return self.store.accounts(ids)

    def holds(self, ids: Sequence[int]) -> list[Hold]:
        return self.store.holds(ids)

    def documents(self, ids: Sequence[bytes]) -> list[Document]:
        return self.store.documents(ids)

    def moved(self) -> list[Moved]:
        return self.store.moved()

    def residents(self, slot: int) -> Residents:
        return self.store.residents(slot)

    def commit(self, batch: Batch) -> None:
        self.fate.commit(lambda: self.store.commit(batch))

    def abandon(self) -> None:
        self.store.abandon()

    def close(self) -> None:
        self.store.close()


@dataclass(frozen=True)
class Life:
    """One life of a switch, as far as money goes."""

    shards: Shards
    depositor: Depositor
    merge: Merge
    busy: BusyPayees

    async def total(self, payee: int) -> int:
        """What a payee has, in his account and in his auxiliaries."""
        holding = await self.busy.holding(payee, None)
        assert holding.auxiliary >= 0
        return holding.total


@asynccontextmanager
async def life(stores: Stores, fate: Fate) -> AsyncIterator[Life]:
    """Open the shards, with depositor and merge at work, until it is over."""
    wakers: list[Callable[[int], None]] = []
    clock, slots = Clock(), SlotMap.even(SHARDS)

    def on_owed(shard: int) -> None:
        wakers[0](shard)

    shards = Shards(
        slots,
        [
            Shard(
                ShardPlace(place.shard, slots),
                fate.governs(place.open_store()),
                place.open_reader(),
                clock,
                on_owed,
            )
            for place in stores.make(SHARDS)
        ],
    )
    depositor = Depositor(shards)
    wakers.append(depositor.wake)
    settle = Settle(shards, clock)
    merge = Merge(shards, settle, depositor, clock, os.urandom, every_s=0.02)
    depositor.start()
    merge.start()
    try:
        yield Life(shards, depositor, merge, BusyPayees(shards, settle))
    finally:
        await merge.close()
        await depositor.close()
        shards.close()


class Payers:
    """Pay at random, and remember what they know."""

    def __init__(self, dice: Random) -> None:
        self.dice = dice
        self.paid: Counter[int] = Counter()
        self.unknown: list[SettlePayment] = []

    async def ask_again(self, now: Life) -> None:
        """Learn what became of the payments that nobody answered."""
        asked, self.unknown = self.unknown, []
        for payment in asked:
            await self.submit(now, payment)

    async def submit(self, now: Life, payment: SettlePayment) -> None:
        """Pay; without an answer it may or may not have happened."""
        try:
            row = await now.shards.submit(payment)
        except StoreUnavailable:
            self.unknown.append(payment)
            return
        assert row.decline == ACCEPTED
        self.paid[payment.payee] += payment.amount

    async def step(self, now: Life) -> None:
        """Do one thing at random, then look at every payee's total."""
        payments = [
            pay(self.dice.choice(PAYERS), self.dice.choice(PAYEES), self.dice.randint(1, 99))
            for _ in range(self.dice.randint(0, 6))
        ]
        merged = self.dice.sample(BUSY, self.dice.randint(0, 1))
        before, possible = Counter(self.paid), [*payments, *self.unknown]
        paying = asyncio.gather(*(self.submit(now, payment) for payment in payments))
        looking = {payee: await now.total(payee) for payee in BUSY}
        with suppress(Unavailable):
            await asyncio.gather(
                *(now.merge.merge_account(payee, EUR, fresh_id()) for payee in merged)
            )
        await paying
        for payee, seen in looking.items():
            most = before[payee] + sum(p.amount for p in possible if p.payee == payee)
            assert before[payee] <= seen <= most
        if not self.unknown:
            assert {p: await now.total(p) for p in BUSY} == {p: self.paid[p] for p in BUSY}


@pytest.mark.parametrize("stores", ["sqlite", "mix"], indirect=True)
async def test_a_total_is_the_sum_of_payments_always(stores: Stores, random_seed: int) -> None:
    """In every life, after every step, and while the steps are under way."""
    dice = Random(random_seed)
    payers = Payers(dice)
    crashes = 0
    async with asyncio.timeout(LIMIT_S):
        async with life(stores, Fate(NEVER, True)) as first:
            for command in opening():
                assert (await first.shards.submit(command)).decline == ACCEPTED
        for _ in range(LIVES):
            fate = Fate(dice.randint(1, 60), dice.random() < 0.5)
            async with life(stores, fate) as now:
                await payers.ask_again(now)
                for _ in range(STEPS):
                    if fate.is_over:
                        break
                    await payers.step(now)
            crashes += fate.is_over
            assert verify_shards(stores, SHARDS).faults == []
        async with life(stores, Fate(NEVER, True)) as last:
            await payers.ask_again(last)
            assert {p: await last.total(p) for p in BUSY} == {p: payers.paid[p] for p in BUSY}
            for payee in BUSY:
                await last.merge.merge_account(payee, EUR, fresh_id())
            await last.depositor.idle(LIMIT_S)
    assert crashes > LIVES // 2
    check_the_end(stores, payers.paid)


def opening() -> list[Command]:
    """Who is there at the start: payers with cash, two busy payees and one who is not."""
    commands: list[Command] = [open_account(payee, "merchant/shop") for payee in PAYEES]
    for payer in PAYERS:
        commands += [open_account(payer), deposit(payer, CASH)]
    return commands + [open_auxiliary(shard, payee) for payee in BUSY for shard in range(SHARDS)]


def check_the_end(stores: Stores, paid: Counter[int]) -> None:
    """All is merged and nothing on its way: each has what he was paid, the payers what is left."""
    report = verify_shards(stores, SHARDS)
    assert (report.faults, report.in_transit) == ([], 0)
    accounts: dict[int, Account] = {}
    for shard in range(SHARDS):
        reader = open_reader(stores, shard)
        accounts |= {account.id: account for account in reader.all_accounts()}
        reader.close()
    assert {payee: accounts[payee].balance for payee in PAYEES} == dict(paid)
    left = sum(accounts[payer].balance for payer in PAYERS)
    assert left + paid.total() == CASH * len(PAYERS)
    owners = {*PAYERS, *PAYEES}
    others = [a for a in accounts.values() if a.id not in owners and a.code not in HOUSE_KINDS]
    assert len(others) == len(BUSY) * (SHARDS + 1)
    assert not any(account.balance for account in others)
