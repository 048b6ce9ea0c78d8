"""Settling: the promise of the request id over all shards, and the store's troubles in words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kessai.v1 import error_pb2
from server.identity.refusals import Refusal, RequestIdReused
from server.shards.router import Shards
from server.shards.sqlite_store import SqliteStore
from server.switch.claims import AGE_LIMIT_US
from server.switch.refused import Overloaded, RequestIdStale, Unavailable
from server.switch.settle import Settle
from tests.unit.server.domain.commands import (
    MINUTE_US,
    NOW_US,
    accounts_on,
    deposit,
    fresh_id,
    open_account,
    pay,
    withdraw,
)
from tests.unit.server.shards.parts import Clock, held_shard, shards_in

HERE, FAR = next(accounts_on(0, 2)), next(accounts_on(1, 2))


async def opened(shards: Shards, clock: Clock) -> Settle:
    """Both accounts, with money."""
    settle = Settle(shards, clock)
    await settle.restore()
    for account in (HERE, FAR):
        await settle(open_account(account, request_id=fresh_id(clock())))
        await settle(deposit(account, 1000, request_id=fresh_id(clock())))
    return settle


async def test_a_command_goes_to_its_own_shard(tmp_path: Path) -> None:
    with shards_in(tmp_path, 2) as shards:
        settle = await opened(shards, Clock())
        assert [(await settle(pay(payer, payee, 5)))[0] for payer, payee in
                ((HERE, FAR), (FAR, HERE))] == [0, 1]  # fmt: skip


async def test_one_id_never_works_on_two_shards(tmp_path: Path) -> None:
    """The same id with another payer, at once and after a restart."""
    clock = Clock()
    first = pay(HERE, FAR, 5)
    other = pay(FAR, HERE, 5, request_id=first.request_id)
    with shards_in(tmp_path, 2, clock) as shards:
        settle = await opened(shards, clock)
        _, row = await settle(first)
        with pytest.raises(RequestIdReused):
            await settle(other)
    clock.us += MINUTE_US
    with shards_in(tmp_path, 2, clock) as shards:
        settle = Settle(shards, clock)
        await settle.restore()
        with pytest.raises(RequestIdReused):
            await settle(other)
        assert await settle(first) == (0, row)
        account = await shards.account(FAR)
    assert account is not None
    assert account.balance == 1000


async def test_the_first_answer_comes_also_when_the_id_is_old(tmp_path: Path) -> None:
    """Known: the first row, for ever. Known with other content: reused. Unknown: stale."""
    clock = Clock()
    with shards_in(tmp_path, 2, clock) as shards:
        settle = await opened(shards, clock)
        known = pay(HERE, FAR, 5)
        answer = await settle(known)
        clock.us += 10**14
        assert await settle(known) == answer
        with pytest.raises(RequestIdReused):
            await settle(pay(HERE, FAR, 6, request_id=known.request_id))
        other_kind = withdraw(HERE, 5, request_id=known.request_id)
        with pytest.raises(RequestIdReused):
            await settle(replace(other_kind, input_hash=known.input_hash))
        with pytest.raises(RequestIdReused):
            await settle(pay(FAR, HERE, 5, request_id=known.request_id))
        with pytest.raises(RequestIdStale):
            await settle(pay(HERE, FAR, 5))
        account = await shards.account(HERE)
    assert account is not None
    assert account.balance == 995


@pytest.mark.parametrize("age_us", [AGE_LIMIT_US + MINUTE_US, -2 * MINUTE_US])
async def test_a_new_request_under_an_odd_id_is_stale(tmp_path: Path, age_us: int) -> None:
    with shards_in(tmp_path, 2) as shards:
        settle = await opened(shards, Clock())
        with pytest.raises(RequestIdStale) as stale:
            await settle(deposit(HERE, 5, request_id=fresh_id(NOW_US - age_us)))
    assert stale.value.rule == ("too_old" if age_us > 0 else "in_future")


async def test_a_deferred_request_is_new_though_its_id_is_old(tmp_path: Path) -> None:
    """It works once, on one shard, whatever the shards' order; also after the memory of ids."""
    clock = Clock()
    with shards_in(tmp_path, 2) as shards:
        settle = await opened(shards, clock)
        old = fresh_id(NOW_US - 3 * 24 * 60 * MINUTE_US)
        first, twin = pay(FAR, HERE, 5, request_id=old), pay(HERE, FAR, 5, request_id=old)
        answer = await settle(first, deferred=True)
        assert await settle(first, deferred=True) == answer
        with pytest.raises(RequestIdReused):
            await settle(twin, deferred=True)
        forgetful = Settle(shards, clock)
        with pytest.raises(RequestIdReused):
            await forgetful(twin, deferred=True)
        assert await forgetful(first, deferred=True) == answer
        account = await shards.account(FAR)
    assert account is not None
    assert account.balance == 995


async def test_a_full_disk_a_stop_and_a_queue_have_their_words(tmp_path: Path) -> None:
    """Each with the reason that the caller gets; afterwards all goes on."""
    with held_shard(tmp_path) as (shard, store):
        store.let_go.set()
        shards = Shards(shard.place.slots, [shard])
        settle = Settle(shards, Clock())
        await settle(open_account(HERE))
        assert isinstance(store.store, SqliteStore)
        db = store.store._db
        pages = db.pragma("page_count")
        db.pragma("max_page_count", pages)
        request_id = fresh_id()
        big = pay(HERE, FAR, 5, wallet="ann" * 5000, request_id=request_id)
        with pytest.raises(Unavailable, match="full") as unavailable:
            await settle(big)
        assert unavailable.value.reason == error_pb2.ERROR_REASON_STORE_UNAVAILABLE
        db.pragma("max_page_count", pages + 100)
        await settle(big)
        shard._writing._waiting_limit = 0
        with pytest.raises(Overloaded):
            await settle(deposit(HERE, 5))
        shard._writing.close()
        with pytest.raises(Unavailable, match="stopping"):
            await settle(deposit(HERE, 5))


def test_every_refusal_has_a_reason() -> None:
    for refusal in (
        RequestIdStale(fresh_id(), NOW_US),
        Unavailable("why"),
        Overloaded(),
        RequestIdReused(),
    ):
        assert isinstance(refusal, Refusal)
        assert refusal.reason
        assert str(refusal)
