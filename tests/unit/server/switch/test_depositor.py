"""The depositor: what is owed arrives once, wherever it was stopped; row B13."""

from __future__ import annotations

import asyncio
from pathlib import Path

import apsw
import pytest

from kessai.money import MAX_AMOUNT
from server.domain.arrival import arrival
from server.ledger.chart import AccountKind, house_account_id
from server.shards.jobs import Delivered
from server.shards.router import Shards
from server.shards.store import OutboxRow
from server.switch import depositor as depositor_module
from tests.running import shard_path
from tests.unit.server.domain.commands import (
    EUR,
    JPY,
    accounts_on,
    deposit,
    fresh_id,
    open_account,
    pay,
)
from tests.unit.server.shards.parts import shards_in, verify_shards, written_here
from tests.unit.server.switch.delivering import delivering

SHARDS, LIMIT_S = 2, 20.0
ANN = next(accounts_on(0, SHARDS))
SHOP, YEN, FULL, UNKNOWN = (a for a, _ in zip(accounts_on(1, SHARDS), range(4), strict=False))
SUSPENSE = house_account_id(AccountKind.SUSPENSE, 1, EUR)


async def fill(shards: Shards) -> None:
    """Ann has 1000; the others are on the other shard."""
    for command in (
        open_account(ANN),
        open_account(SHOP, "merchant/shop"),
        open_account(YEN, "merchant/yen", JPY),
        open_account(FULL, "merchant/full"),
        deposit(ANN, 1000),
        deposit(FULL, MAX_AMOUNT),
    ):
        assert not (await shards.submit(command)).decline


async def credited(shards: Shards, account: int) -> int:
    """What an account got."""
    found = await shards.account(account)
    return found.credits_posted if found else 0


async def test_what_is_paid_arrives(tmp_path: Path) -> None:
    async with delivering(tmp_path, SHARDS) as (shards, depositor):
        await fill(shards)
        payments = [pay(ANN, SHOP, amount) for amount in range(1, 21)]
        await asyncio.gather(*(shards.submit(payment) for payment in payments))
        await depositor.idle(LIMIT_S)
        assert await credited(shards, SHOP) == 210
        assert await shards.outbox(0, 100) == []
    report = verify_shards(tmp_path, SHARDS)
    assert (report.faults, report.in_transit) == ([], 0)


@pytest.mark.parametrize("arrived", range(4))
@pytest.mark.parametrize("told", [False, True])
async def test_it_takes_up_where_it_stopped(tmp_path: Path, arrived: int, told: bool) -> None:
    """Stopped after none, some or all arrivals, and before or after they were ticked off."""
    with shards_in(tmp_path, SHARDS) as shards:
        await fill(shards)
        for amount in (1, 20, 300):
            await shards.submit(pay(ANN, SHOP, amount))
        owed = await shards.outbox(0, 100)
        for debt in owed[:arrived]:
            await shards.submit(arrival(0, *debt))
        if told and arrived:
            await shards.shard(0).submit(Delivered(owed[arrived - 1].log_sequence))
    assert verify_shards(tmp_path, SHARDS).in_transit == 3 - arrived
    for _ in range(2):
        async with delivering(tmp_path, SHARDS) as (shards, depositor):
            await depositor.idle(LIMIT_S)
            assert await credited(shards, SHOP) == 321
            assert await shards.outbox(0, 100) == []
    report = verify_shards(tmp_path, SHARDS)
    assert (report.faults, report.in_transit) == ([], 0)


@pytest.mark.parametrize("payee", [UNKNOWN, YEN, FULL])
async def test_what_nobody_can_take_is_in_suspense(tmp_path: Path, payee: int) -> None:
    """No such account, other money, or no room: the money is kept, and named."""
    async with delivering(tmp_path, SHARDS) as (shards, depositor):
        await fill(shards)
        before = await credited(shards, payee)
        row = await shards.submit(pay(ANN, payee, 30))
        assert not row.decline
        await depositor.idle(LIMIT_S)
        assert await credited(shards, payee) == before
        _, entries = await shards.shard(1).read(lambda r: r.statement(SUSPENSE, 0, 10))
        assert [(entry.amount, entry.counterparty) for entry in entries] == [(30, ANN)]
    assert verify_shards(tmp_path, SHARDS).faults == []


async def test_a_trouble_is_waited_out(tmp_path: Path) -> None:
    """A full disk at the payee's shard holds deposits up, and loses none."""
    async with delivering(tmp_path, SHARDS) as (shards, depositor):
        await fill(shards)
        db = written_here(shards, 1)._store._db  # type: ignore[attr-defined]
        pages = db.pragma("page_count")
        db.pragma("max_page_count", pages)
        payments = [pay(ANN, SHOP, 1) for _ in range(400)]
        await asyncio.gather(*(shards.submit(payment) for payment in payments))
        with pytest.raises(TimeoutError):
            await depositor.idle(0.3)
        assert await shards.outbox(0, 1) != []
        db.pragma("max_page_count", pages + 1000)
        await depositor.idle(LIMIT_S)
        assert await credited(shards, SHOP) == 400
    assert verify_shards(tmp_path, SHARDS).faults == []


async def test_a_spoilt_outbox_row_does_not_end_it(tmp_path: Path) -> None:
    """What cannot be delivered is tried again, and delivered once it is right again."""
    with shards_in(tmp_path, SHARDS) as shards:
        await fill(shards)
        await shards.submit(pay(ANN, SHOP, 30))
        [debt] = await shards.outbox(0, 10)
        await shards.submit(arrival(0, *debt))
    db = apsw.Connection(str(shard_path(tmp_path, 0)))
    db.execute("UPDATE outbox SET amount = amount + 1")
    async with delivering(tmp_path, SHARDS) as (shards, depositor):
        with pytest.raises(TimeoutError):
            await depositor.idle(0.3)
        db.execute("UPDATE outbox SET amount = amount - 1")
        db.close()
        await depositor.idle(LIMIT_S)
        assert await shards.outbox(0, 10) == []
    assert verify_shards(tmp_path, SHARDS).faults == []


async def test_what_cannot_be_booked_at_all_stays_owed(tmp_path: Path) -> None:
    """A shard can take in 2^63-1 in all: what is beyond is not lost, but owed, and said."""
    rich = [next(accounts_on(shard, 3)) for shard in (0, 2)]
    payees = [a for a, _ in zip(accounts_on(1, 3), range(2), strict=False)]
    async with delivering(tmp_path, 3) as (shards, depositor):
        for payer, payee in zip(rich, payees, strict=True):
            for command in (open_account(payer), open_account(payee), deposit(payer, MAX_AMOUNT)):
                await shards.submit(command)
            await shards.submit(pay(payer, payee, MAX_AMOUNT))
        with pytest.raises(TimeoutError):
            await depositor.idle(0.5)
        owed = [*await shards.outbox(0, 10), *await shards.outbox(2, 10)]
        assert [debt.amount for debt in owed] == [MAX_AMOUNT]
    report = verify_shards(tmp_path, 3)
    assert (report.faults, report.in_transit) == ([], 1)


async def owed_when_one_is_left(shards: Shards) -> list[OutboxRow]:
    """Wait until all shards together owe one thing."""
    while True:
        owed = [debt for shard in range(len(shards)) for debt in await shards.outbox(shard, 100)]
        if len(owed) == 1:
            return owed
        await asyncio.sleep(0.01)


async def test_two_payments_under_one_id_are_not_in_the_way_of_others(tmp_path: Path) -> None:
    """Two switches may take one id from two shards: one arrives, the other stays owed and said."""
    payers = [next(accounts_on(shard, 3)) for shard in (0, 2)]
    shop = next(accounts_on(1, 3))
    request_id = fresh_id()
    async with delivering(tmp_path, 3) as (shards, depositor):
        await shards.submit(open_account(shop, "merchant/shop"))
        for payer in payers:
            await shards.submit(open_account(payer))
            await shards.submit(deposit(payer, 1000))
            await shards.submit(pay(payer, shop, 10, request_id=request_id))
            for _ in range(20):
                await shards.submit(pay(payer, shop, 1))
        async with asyncio.timeout(LIMIT_S):
            owed = await owed_when_one_is_left(shards)
        assert [(debt.request_id, debt.amount) for debt in owed] == [(request_id, 10)]
        assert await credited(shards, shop) == 50
        with pytest.raises(TimeoutError):
            await depositor.idle(0.1)
    assert verify_shards(tmp_path, 3).faults != []


async def test_what_another_switch_left_behind_is_brought(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It died between its commit and the deposit; nobody wakes the other one's depositor."""
    monkeypatch.setattr(depositor_module, "_LOOK_S", 0.05)
    async with delivering(tmp_path, SHARDS) as (shards, depositor):
        await fill(shards)
        await depositor.idle(LIMIT_S)
        written_here(shards, 0)._on_owed = lambda shard: None
        await shards.submit(pay(ANN, SHOP, 30))
        async with asyncio.timeout(LIMIT_S):
            while await shards.outbox(0, 1):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert await credited(shards, SHOP) == 30


async def test_a_shard_that_cannot_take_anything_holds_up_only_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More is owed to it than a depositor brings at once; what is owed to the other arrives."""
    monkeypatch.setattr(depositor_module, "_BATCH", 8)
    full, other = (next(accounts_on(shard, 3)) for shard in (1, 2))
    payer = next(accounts_on(0, 3))
    async with delivering(tmp_path, 3) as (shards, depositor):
        for account in (payer, full, other):
            await shards.submit(open_account(account))
        await shards.submit(deposit(payer, 1000))
        db = written_here(shards, 1)._store._db  # type: ignore[attr-defined]
        pages = db.pragma("page_count")
        db.pragma("max_page_count", pages)
        payments = [pay(payer, full, 1) for _ in range(400)]
        await asyncio.gather(*(shards.submit(payment) for payment in payments))
        await shards.submit(pay(payer, other, 7))
        async with asyncio.timeout(LIMIT_S):
            while await credited(shards, other) < 7:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert await shards.outbox(0, 1) != []
        db.pragma("max_page_count", pages + 1000)
        await depositor.idle(LIMIT_S)
        assert await credited(shards, full) == 400
    assert verify_shards(tmp_path, 3).faults == []
