"""Two switches at the same shards, both moving slots (rows B11, B13): nothing lost, nothing twice.

Customers pay at either, and ask again at the other one; each has a plan, depositor and merge of its
own, and neither tells the other what it does. Only the shards know.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from random import Random

import pytest

from server.domain.command import ACCEPTED
from tests.invariants.moving import (
    BUSY,
    MOVING,
    PAYERS,
    SHARDS,
    SHOPS,
    SLOTS,
    Life,
    life,
    opening,
    verify_all,
)
from tests.invariants.test_moving_slots import Customers, check_the_end
from tests.placing import shard_of
from tests.unit.server.domain.commands import EUR, fresh_id, pay
from tests.unit.server.shards.parts import Clock, Stores

STEPS, LIMIT_S, SETTLE_LIMIT_S = 40, 100.0, 15.0


on_postgres = pytest.mark.parametrize("stores", ["postgresql"], indirect=True)


@pytest.fixture
def other(stores: Stores, tmp_path: Path) -> Stores:
    """Give the same shards to another switch, which has a folder of its own."""
    stores.make(SHARDS)
    other = Stores(tmp_path / "other", stores.urls, stores.books_id)
    other.folder.mkdir()
    other.adopt(SHARDS)
    return other


async def totals(at: Life) -> dict[int, int]:
    """What everybody has, minor units."""
    return {account: await at.total(account) for account in (*PAYERS, *SHOPS)}


@on_postgres
async def test_a_slot_that_went_and_came_back_unseen(stores: Stores, other: Stores) -> None:
    """What was paid meanwhile, at a shard of which the other switch knows nothing, stays paid."""
    slot, clock = MOVING[0], Clock()
    home = shard_of(SLOTS, PAYERS[0])
    payment = pay(PAYERS[0], SHOPS[2], 30)
    async with (
        life(stores, clock, works=False) as one,
        life(other, clock, works=False) as two,
    ):
        for command in opening():
            await one.shards.submit(command)
        await one.rebalance._mover.move(slot, 3)
        answer = await one.settle(payment)
        await one.rebalance._mover.move(slot, home)
        assert await two.settle(payment) == answer
        await one.rebalance._mover.move(slot, 1)
        later = await one.settle(again := pay(PAYERS[0], SHOPS[2], 5))
        await one.rebalance._mover.move(slot, home)
        both = [await now.settle(command) for now in (two, one) for command in (payment, again)]
        assert both == [answer, later] * 2
    assert verify_all(stores).faults == []


@on_postgres
async def test_two_switches_move_the_same_slots(
    stores: Stores, other: Stores, random_seed: int
) -> None:
    """Whichever decided first, both give that answer, wherever the slot has been meanwhile."""
    customers, clock = Customers(Random(random_seed)), Clock()
    async with asyncio.timeout(LIMIT_S), life(stores, clock) as one, life(other, clock) as two:
        for command in opening():
            assert (await one.shards.submit(command)).decline == ACCEPTED
        for _ in range(STEPS):
            await asyncio.gather(customers.step(one), customers.step(two))
            await customers.ask_again(two)
        await asyncio.gather(one.moved(), two.moved())
        await one.merge.merge_account(BUSY, EUR, fresh_id())
        await asyncio.gather(one.depositor.idle(LIMIT_S), two.depositor.idle(LIMIT_S))
        for command, shard, row in list(customers.answers.values()):
            for now in (one, two):
                assert await now.settle(command) == (shard, row)
        # What one switch delivers to a slot that has left, the other may owe once more.
        found, deadline = await totals(two), time.monotonic() + SETTLE_LIMIT_S
        while found != customers.expected() and time.monotonic() < deadline:
            await asyncio.sleep(0.1)
            found = await totals(two)
        assert found == customers.expected()
        assert one.rebalance.tally.slots > 0
        assert two.rebalance.tally.slots > 0
    assert verify_all(stores).faults == []
    check_the_end(stores)
