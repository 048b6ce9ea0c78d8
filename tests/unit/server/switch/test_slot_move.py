"""Moving a slot, step by step: holds, deposits, request ids, documents, and what is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.domain.arrival import arrival
from server.domain.command import ACCEPTED, Command
from server.identity.refusals import RequestIdReused, Unknown
from server.ledger.chart import AccountKind, house_account_id
from server.shards.relocate import Copied, Depart, SlotMoved
from server.shards.settlement_log import LogRow
from server.switch.rebalance import Range, SlotsMoving
from server.switch.refused import RequestIdStale
from tests.invariants.moving import (
    BUSY,
    CASH,
    MOVING,
    PAYERS,
    SHOPS,
    Life,
    life,
    opening,
    verify_all,
)
from tests.unit.server.domain.commands import (
    EUR,
    capture,
    deposit,
    fresh_id,
    open_auxiliary,
    pay,
    place_hold,
    void,
)
from tests.unit.server.shards.parts import Clock, Stores, open_reader

ANN, BEN = PAYERS[0], PAYERS[4]
SHOP = SHOPS[2]
HOME, SLOT = 0, MOVING[0]
OTHER_HOME, OTHER_SLOT = 1, MOVING[2]


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    """Give places for files."""
    return Stores(tmp_path)


@pytest.fixture
async def now(stores: Stores) -> AsyncIterator[Life]:
    """Give a switch in which nothing happens by itself; afterwards the books verify."""
    async with life(stores, Clock(), works=False) as now:
        for command in opening():
            assert (await now.shards.submit(command)).decline == ACCEPTED
        yield now
    assert verify_all(stores).faults == []


async def move(now: Life, slot: int, shard: int) -> None:
    """Move a slot, now."""
    await now.rebalance._mover.move(slot, shard)
    assert now.shards.routes.slot_home(slot) == shard


async def balances(now: Life, *accounts: int) -> list[int]:
    """What accounts have."""
    return [(await now.busy.holding(account, None)).account.balance for account in accounts]


async def bring_all(now: Life) -> None:
    """Let all debts arrive; the outboxes are not ticked off."""
    for shard in range(len(now.shards)):
        for debt in await now.shards.outbox(shard, 100):
            await now.depositor.bring(shard, debt)


async def test_an_account_keeps_all_that_is_its_own(now: Life) -> None:
    """Balance, statement and limits, there and back again; only the house's books tell of it."""
    await now.settle(pay(ANN, SHOP, 30))
    before = await now.shards.statement(ANN, 0, 50)
    for shard in (3, 2, HOME):
        await move(now, SLOT, shard)
        assert await now.shards.statement(ANN, 0, 50) == before
    _, row = await now.settle(pay(ANN, SHOP, CASH))
    assert row.decline != ACCEPTED
    in_transit = house_account_id(AccountKind.IN_TRANSIT, 3, EUR)
    house, entries = await now.shards.statement(in_transit, 0, 50)
    assert house is not None
    assert (house.balance, len(entries)) == (0, 2)


async def test_the_first_answer_comes_from_the_shard_that_gave_it(now: Life) -> None:
    """Also when the id is old, and with other content it is refused."""
    payment = pay(ANN, SHOP, 30)
    first = await now.settle(payment)
    await move(now, SLOT, 3)
    assert await now.settle(payment) == first
    with pytest.raises(RequestIdReused):
        await now.settle(pay(ANN, SHOP, 31, request_id=payment.request_id))
    with pytest.raises(RequestIdReused):
        await now.settle(pay(BEN, SHOP, 30, request_id=payment.request_id))
    now.settle._now_us = Clock(Clock().us + 10**12)
    assert await now.settle(payment) == first
    with pytest.raises(RequestIdStale):
        await now.settle(pay(ANN, SHOP, 30))
    assert await balances(now, ANN) == [CASH - 30]


async def test_a_deposit_is_not_booked_again_in_the_new_home(now: Life) -> None:
    """It arrived, nobody ticked it off, and the payee's slot moved; singly and with others."""
    await now.settle(pay(ANN, SHOP, 30))
    await bring_all(now)
    await move(now, OTHER_SLOT, 3)
    await bring_all(now)
    debts = await now.shards.outbox(HOME, 100)
    assert len(debts) == 1
    rows = await now.shards.submit_all([arrival(HOME, *debt) for debt in debts])
    assert all(isinstance(row, LogRow) for row in rows)
    assert await balances(now, SHOP) == [30]


@pytest.mark.parametrize("slot", [SLOT, OTHER_SLOT])
@pytest.mark.parametrize("payee", [SHOP, SHOPS[1], PAYERS[1]])
async def test_a_hold_is_captured_or_voided_after_a_move(now: Life, payee: int, slot: int) -> None:
    """Payer and payee on one shard or on two, together in a slot or not; either of them moves."""
    kept, given_up = place_hold(ANN, payee, 50, 0), place_hold(ANN, payee, 20, 0)
    payer_moves = slot == SLOT
    for hold in (kept, given_up):
        assert (await now.settle(hold))[1].decline == ACCEPTED
    had = await balances(now, ANN, payee)
    for shard in (3, HOME, 2):
        await move(now, slot if payer_moves or payee == SHOP else MOVING[1], shard)
        account = await now.shards.account(ANN)
        assert account is not None
        assert account.available == account.balance - 70
    assert (await now.settle(capture(kept, 40)))[1].decline == ACCEPTED
    assert (await now.settle(void(given_up)))[1].decline == ACCEPTED
    await bring_all(now)
    assert await balances(now, ANN, payee) == [had[0] - 40, had[1] + 40]
    account = await now.shards.account(ANN)
    assert account is not None
    assert account.debits_pending == 0


async def test_a_busy_payee_moves_with_what_was_merged(now: Life) -> None:
    """Its auxiliaries stay; the total is right before and after, and merging goes on."""
    await now.settle(pay(BEN, BUSY, 30))
    assert await now.total(BUSY) == 30
    await move(now, SLOT, 3)
    assert await now.total(BUSY) == 30
    assert await now.merge.merge_account(BUSY, EUR, fresh_id()) == 30
    await now.settle(pay(BEN, BUSY, 5))
    assert (await now.total(BUSY), *(await balances(now, BUSY))) == (35, 30)


async def test_a_shard_refuses_what_it_does_not_keep_any_more(now: Life) -> None:
    """What another switch sends to the old home; what was done there is answered there."""
    done = pay(ANN, SHOP, 30)
    _, row = await now.settle(done)
    await move(now, SLOT, 3)
    old = now.shards.shard(HOME)
    assert await old.submit(done) == row
    with pytest.raises(SlotMoved):
        await old.submit(pay(ANN, SHOP, 1))
    with pytest.raises(SlotMoved):
        await old.submit(Depart(fresh_id(), SLOT, 2, 2))
    several: tuple[Command, ...] = (done, deposit(ANN, 5))
    first, second = await old.submit(several)
    assert first == row
    assert isinstance(second, SlotMoved)


async def test_what_a_switch_asks_too_late_is_not_done(now: Life) -> None:
    """A departure that another switch has made already; copies of a slot that came and went."""
    await now.settle(pay(ANN, SHOP, 30))
    _, entries = await now.shards.statement(ANN, 0, 10)
    await move(now, SLOT, 3)
    await move(now, SLOT, HOME)
    source, gone = now.shards.shard(HOME), now.shards.shard(3)
    with pytest.raises(SlotMoved):
        await source.submit(Depart(fresh_id(), SLOT, 2, 1))
    await gone.submit(Copied(tuple(entries), SLOT, 1))
    assert await gone.read(lambda reader: reader.statement(ANN, 0, 10)) == (None, [])
    await gone.submit(Copied(tuple(entries), SLOT, 3))
    _, copied = await gone.read(lambda reader: reader.statement(ANN, 0, 10))
    assert copied == entries


async def test_a_switch_follows_a_slot_that_another_one_moved(now: Life) -> None:
    """It learns from the shards where the slot went, to pay and to look."""
    routes = now.shards.routes
    await move(now, SLOT, 3)
    routes._said.clear()
    routes._homes[SLOT] = HOME
    assert (await now.settle(pay(ANN, SHOP, 30)))[0] == 3
    routes._said.clear()
    routes._homes[SLOT] = HOME
    assert await balances(now, ANN) == [CASH - 30]


async def test_a_slot_on_its_way_is_brought_to_its_end(now: Life) -> None:
    """As after a kill between the two commits; meanwhile its commands wait."""
    source = now.shards.shard(HOME)
    await source.submit(Depart(fresh_id(), SLOT, 3, 1))
    await now.shards.learn()
    assert now.shards.routes.is_held_back(SLOT)
    now.rebalance.start()
    assert (await now.settle(pay(ANN, SHOP, 30)))[0] == 3
    assert await balances(now, ANN) == [CASH - 30]


async def test_one_plan_at_a_time_and_only_to_shards_that_are_there(now: Life) -> None:
    with pytest.raises(Unknown):
        now.rebalance.begin([Range(0, 9, 4)])
    assert now.rebalance.begin([Range(0, 9, 3)]) == 10
    with pytest.raises(SlotsMoving):
        now.rebalance.begin([Range(0, 9, 2)])
    assert now.rebalance.begin([Range(0, 9, 3)]) == 10


async def test_nothing_is_left_where_a_slot_was(now: Life, stores: Stores) -> None:
    await now.settle(pay(ANN, SHOP, 30))
    await move(now, SLOT, 3)
    reader = open_reader(stores, HOME)
    assert reader.account(ANN) is None
    assert [entry for entry in reader.all_entries() if entry.account == ANN] == []
    assert reader.residents(SLOT) == []
    assert [moved.is_clean for moved in reader.moved()] == [1]
    reader.close()


async def test_a_new_shard_gets_its_auxiliary_by_distributing_again(now: Life) -> None:
    """Until then a payment there goes through transit; both are counted once."""
    other = SHOPS[1]
    assert (await now.shards.submit(open_auxiliary(HOME, other))).decline == ACCEPTED
    await move(now, OTHER_SLOT, 3)
    await now.settle(pay(BEN, other, 7))
    await bring_all(now)
    assert await now.total(other) == 7
