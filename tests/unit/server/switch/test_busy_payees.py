"""Distributing and merging (row B12): once, whenever it stops, and counted right at each step."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from kessai.account_number import format_account
from kessai.request_id import format_request_id
from kessai.v1.account_pb2 import DistributeAccountRequest
from server.domain.command import ACCEPTED, Command
from server.identity.refusals import RequestIdReused, Unknown
from server.ledger.chart import AccountKind, auxiliary_id, house_account_id, merged_id
from server.shards.router import Shards
from server.shards.settlement_log import LogRow
from server.switch.busy_payees import BusyPayees
from server.switch.depositor import Depositor
from server.switch.merge import Merge
from server.switch.refused import RequestIdStale
from server.switch.settle import Settle
from tests.unit.server.domain.commands import (
    EUR,
    MINUTE_US,
    NOW_US,
    accounts_on,
    deposit,
    fresh_id,
    open_account,
    pay,
)
from tests.unit.server.shards.parts import Clock, Stores, open_shards, verify_shards

pytestmark = pytest.mark.parametrize("stores", ["sqlite", "mix"], indirect=True)

SHARDS, LIMIT_S = 4, 20.0
HOME = 2
MALL, OTHER = (a for a, _ in zip(accounts_on(HOME, SHARDS), range(2), strict=False))
PAYERS = [next(accounts_on(shard, SHARDS, first=50)) for shard in range(SHARDS)]


@dataclass(frozen=True)
class Parts:
    """What bootstrap wires, as far as busy payees need it. The depositor waits to be started."""

    clock: Clock
    shards: Shards
    busy: BusyPayees
    depositor: Depositor
    merge: Merge

    async def distribute(self, request_id: bytes, account: int = MALL) -> int:
        """Distribute an account."""
        message = DistributeAccountRequest(
            request_id=format_request_id(request_id), account_number=format_account(account)
        )
        return await self.busy.distribute(message, request_id, account, "joe")

    async def auxiliaries(self, account: int = MALL) -> list[int]:
        """The shards that have an auxiliary of an account."""
        found = [await self.shards.account(auxiliary_id(n, account)) for n in range(SHARDS)]
        return [shard for shard, auxiliary in enumerate(found) if auxiliary is not None]

    async def pay_all(self, amount: int) -> None:
        """Let every payer pay the mall."""
        rows = await asyncio.gather(
            *(self.shards.submit(pay(payer, MALL, amount)) for payer in PAYERS)
        )
        assert [row.decline for row in rows] == [ACCEPTED] * SHARDS

    async def figures(self, account: int = MALL) -> tuple[int, int, int]:
        """Balance, auxiliaries and total."""
        holding = await self.busy.holding(account, None)
        return holding.account.balance, holding.auxiliary, holding.total


@asynccontextmanager
async def parts(stores: Stores, every_s: float = 3600) -> AsyncIterator[Parts]:
    """Four shards, a payer with 1000 on each, and the mall's account on one."""
    wakers: list[Callable[[int], None]] = []
    clock = Clock()

    def on_owed(shard: int) -> None:
        wakers[0](shard)

    shards = open_shards(stores, SHARDS, clock, on_owed)
    depositor = Depositor(shards)
    wakers.append(depositor.wake)
    settle = Settle(shards, clock)
    merge = Merge(shards, settle, depositor, clock, os.urandom, every_s)
    if await shards.account(MALL) is None:
        await shards.submit(open_account(MALL, "merchant/mall"))
        await shards.submit(open_account(OTHER, "merchant/other"))
        for payer in PAYERS:
            await shards.submit(open_account(payer))
            await shards.submit(deposit(payer, 1000))
    try:
        async with asyncio.timeout(LIMIT_S):
            await settle.restore()
            yield Parts(clock, shards, BusyPayees(shards, settle), depositor, merge)
    finally:
        await merge.close()
        await depositor.close()
        shards.close()
    assert verify_shards(stores, SHARDS).faults == []


async def test_a_distributed_account_has_an_auxiliary_on_every_shard(stores: Stores) -> None:
    async with parts(stores) as p:
        assert await p.distribute(fresh_id()) == SHARDS
        assert await p.auxiliaries() == [0, 1, 2, 3]
        assert await p.auxiliaries(OTHER) == []
        merged = await p.shards.account(merged_id(MALL))
        assert merged is not None
        assert (merged.owner, merged.code) == ("merchant/mall", AccountKind.MERGED)


async def test_distributing_again_changes_nothing(stores: Stores) -> None:
    """The same request at any age, another request; and a used id is refused."""
    async with parts(stores) as p:
        first = fresh_id()
        for request_id in (first, first, fresh_id()):
            assert await p.distribute(request_id) == SHARDS
        with pytest.raises(RequestIdReused):
            await p.distribute(first, OTHER)
        await p.pay_all(10)
        p.clock.us += 10**9
        assert await p.distribute(first) == SHARDS
        with pytest.raises(RequestIdStale):
            await p.distribute(fresh_id(NOW_US))
        assert await p.figures() == (10, 30, 40)


async def test_who_has_no_account_is_not_distributed(stores: Stores) -> None:
    async with parts(stores) as p:
        nobody = next(accounts_on(0, SHARDS, first=900))
        house = next(
            account
            for kind in (AccountKind.WORLD, AccountKind.OPERATOR, AccountKind.IN_TRANSIT)
            for shard in range(SHARDS)
            if p.shards.home_of(account := house_account_id(kind, shard, EUR)).place.shard == shard
        )
        for account in (nobody, house):
            with pytest.raises(Unknown):
                await p.distribute(fresh_id(), account)
            assert await p.auxiliaries(account) == []


@pytest.mark.parametrize("done", range(SHARDS - 1))
async def test_a_distribution_that_stops_half_way_can_be_repeated(
    stores: Stores, done: int
) -> None:
    """Its own shard is first; whatever else was done, each payment counts once."""
    request_id = fresh_id()
    async with parts(stores) as p:
        settle, count = p.shards.settle, 0

        async def settle_some(command: Command) -> tuple[int, LogRow]:
            nonlocal count
            count += 1
            if count > done + 1:
                raise ConnectionError("stopped")
            return await settle(command)

        p.shards.settle = settle_some  # type: ignore[method-assign]
        with pytest.raises(ConnectionError):
            await p.distribute(request_id)
        p.shards.settle = settle  # type: ignore[method-assign]
        opened = await p.auxiliaries()
        assert HOME in opened
        assert len(opened) <= done + 1  # those under way may come later
        await p.pay_all(7)
        p.depositor.start()
        await p.depositor.idle(LIMIT_S)
        assert (await p.figures())[2] == 28
    async with parts(stores) as p:
        assert await p.distribute(request_id) == SHARDS
        assert await p.auxiliaries() == [0, 1, 2, 3]
        await p.pay_all(7)
        assert (await p.figures())[2] == 56


async def test_the_three_figures_are_right_at_every_step(stores: Stores) -> None:
    """Paid, merged and not arrived, arrived; for a payee who is not busy there is one figure."""
    async with parts(stores) as p:
        await p.distribute(fresh_id())
        await p.pay_all(10)
        assert [await p.shards.outbox(n, 10) for n in range(SHARDS)] == [[]] * SHARDS
        assert await p.figures() == (10, 30, 40)
        assert [await p.merge.merge_shard(n) for n in range(SHARDS)] == [1, 1, 0, 1]
        assert await p.figures() == (10, 30, 40)
        await p.pay_all(1)
        assert await p.figures() == (11, 33, 44)
        p.depositor.start()
        await p.depositor.idle(LIMIT_S)
        assert await p.figures() == (41, 3, 44)
        assert await p.figures(OTHER) == (0, 0, 0)


async def test_a_merge_on_demand_answers_when_it_has_arrived(stores: Stores) -> None:
    """Before the depositor comes to it, who then brings it again: that changes nothing."""
    async with parts(stores) as p:
        await p.distribute(fresh_id())
        await p.pay_all(10)
        assert await p.merge.merge_account(MALL, EUR, fresh_id()) == 30
        assert await p.figures() == (40, 0, 40)
        assert [len(await p.shards.outbox(n, 10)) for n in range(SHARDS)] == [1, 1, 0, 1]
        p.depositor.start()
        await p.depositor.idle(LIMIT_S)
        assert await p.figures() == (40, 0, 40)


async def test_nothing_to_merge_is_not_logged(stores: Stores) -> None:
    async with parts(stores) as p:
        await p.distribute(fresh_id())
        rows = verify_shards(stores, SHARDS).rows
        assert [await p.merge.merge_shard(n) for n in range(SHARDS)] == [0] * SHARDS
        assert verify_shards(stores, SHARDS).rows == rows


async def test_a_merge_that_is_asked_for_again_moves_nothing_more(stores: Stores) -> None:
    """Nor does one that found nothing; the answer is the first one, also for an old request."""
    async with parts(stores) as p:
        await p.distribute(fresh_id())
        nothing, something = fresh_id(), fresh_id()
        assert await p.merge.merge_account(MALL, EUR, nothing) == 0
        await p.pay_all(10)
        assert await p.merge.merge_account(MALL, EUR, something) == 30
        await p.pay_all(5)
        for _ in range(2):
            assert await p.merge.merge_account(MALL, EUR, nothing) == 0
            assert await p.merge.merge_account(MALL, EUR, something) == 30
            p.clock.us += 10 * MINUTE_US
        assert await p.figures() == (45, 15, 60)
        with pytest.raises(RequestIdReused):
            await p.merge.merge_account(OTHER, EUR, something)
        with pytest.raises(RequestIdStale):
            await p.merge.merge_account(MALL, EUR, fresh_id())
        p.depositor.start()
        await p.depositor.idle(LIMIT_S)
        assert await p.figures() == (45, 15, 60)


async def test_two_merges_at_once_move_it_once(stores: Stores) -> None:
    async with parts(stores) as p:
        await p.distribute(fresh_id())
        await p.pay_all(10)
        merged = await asyncio.gather(
            *(p.merge.merge_account(MALL, EUR, fresh_id()) for _ in range(5))
        )
        assert sum(merged) == 30
        assert await p.figures() == (40, 0, 40)


async def test_it_merges_by_itself(stores: Stores) -> None:
    """Every so often, more than a page at once, and on with the next look after any trouble."""
    async with parts(stores, every_s=0.01) as p:
        p.depositor.start()
        p.merge.start()
        await p.distribute(fresh_id())
        for paid in (40, 80):
            await p.pay_all(10)
            while True:
                figures = await p.figures()
                assert figures[2] == paid
                if figures == (paid, 0, paid):
                    break
                await asyncio.sleep(0.01)


async def test_more_busy_payees_than_a_page_holds(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.switch.merge._AT_ONCE", 1)
    async with parts(stores) as p:
        for account in (MALL, OTHER):
            await p.distribute(fresh_id(), account)
            await p.shards.submit(pay(PAYERS[0], account, 5))
        assert await p.merge.merge_shard(0) == 2
