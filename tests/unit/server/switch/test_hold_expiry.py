"""Holds that are due are released, here and towards other shards, also after a stop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import structlog

from kessai.account_number import slot_of
from server.domain.command import ACCEPTED, CommandKind
from server.shards.relocate import Depart
from server.shards.router import Shards
from server.shards.store import StoreUnavailable
from server.switch.hold_expiry import HoldExpiry
from server.switch.slot_move import SlotMover
from tests.unit.server.domain.commands import (
    MINUTE_US,
    accounts_on,
    deposit,
    fresh_id,
    open_account,
    place_hold,
)
from tests.unit.server.shards.parts import Clock, shards_in, verify_shards, written_here

SHARDS, LIMIT_S = 2, 20.0
ANN, SHOP = (a for a, _ in zip(accounts_on(0, SHARDS), range(2), strict=False))
FAR = next(accounts_on(1, SHARDS))


async def held(shards: Shards) -> None:
    """Ann has 1000; 300 are held for a minute, 200 for ever."""
    for command in (
        open_account(ANN),
        open_account(SHOP, "merchant/shop"),
        open_account(FAR, "merchant/far"),
        deposit(ANN, 1000),
        place_hold(ANN, SHOP, 100, 60),
        place_hold(ANN, FAR, 200, 60),
        place_hold(ANN, FAR, 200),
    ):
        assert not (await shards.submit(command)).decline


async def available(shards: Shards) -> int:
    """What Ann can spend."""
    account = await shards.account(ANN)
    assert account is not None
    return account.available


async def test_what_is_due_is_released_once(tmp_path: Path) -> None:
    clock = Clock()
    with shards_in(tmp_path, SHARDS, clock) as shards:
        expiry = HoldExpiry(shards, clock)
        await held(shards)
        clock.us += MINUTE_US - 1
        assert (await expiry.release_due(), await available(shards)) == (0, 500)
        clock.us += 1
        assert (await expiry.release_due(), await available(shards)) == (2, 800)
        assert (await expiry.release_due(), await available(shards)) == (0, 800)
    assert verify_shards(tmp_path, SHARDS).faults == []


async def test_what_became_due_while_it_was_stopped_is_released(tmp_path: Path) -> None:
    clock = Clock()
    with shards_in(tmp_path, SHARDS, clock) as shards:
        await held(shards)
    clock.us += 10 * MINUTE_US
    with shards_in(tmp_path, SHARDS, clock) as shards:
        assert await HoldExpiry(shards, clock).release_due() == 2
        assert await available(shards) == 800


async def test_a_clock_that_went_back_holds_nothing_for_ever(tmp_path: Path) -> None:
    """Found due, but not so any more when it is decided: the next look releases it."""
    clock, ahead = Clock(), Clock()
    with shards_in(tmp_path, SHARDS, clock) as shards:
        await held(shards)
        ahead.us += MINUTE_US
        assert await HoldExpiry(shards, ahead).release_due() == 2
        assert await available(shards) == 500
        clock.us += 2 * MINUTE_US
        assert await HoldExpiry(shards, clock).release_due() == 2
        assert await available(shards) == 800
    assert verify_shards(tmp_path, SHARDS).faults == []


async def rows_of(shards: Shards, kind: CommandKind) -> list[int]:
    """The decline of each log row of a kind, in all shards."""
    logs = [
        await shards.shard(number).read(lambda reader: reader.rows_after(0, 10_000))
        for number in range(len(shards))
    ]
    return [row.decline for log in logs for row in log if row.kind == kind]


async def until(is_so: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(LIMIT_S):
        while not await is_so():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def fill_up(shards: Shards) -> None:
    """Use what room is left on the last pages of Ann's shard."""
    with suppress(StoreUnavailable):
        for _ in range(1000):
            await shards.submit(deposit(ANN, 1))
        raise AssertionError("there is room for ever")


async def nothing_is_held(shards: Shards, payers: list[int]) -> None:
    """Wait until nobody's money is held."""

    async def is_so() -> bool:
        accounts = [await shards.account(payer) for payer in payers]
        return all(account is not None and not account.debits_pending for account in accounts)

    await until(is_so)


async def test_holds_whose_slots_move_are_released_once(tmp_path: Path) -> None:
    """Fifty, of ten payers; each slot moves before their end, and half of them come back."""
    clock = Clock()
    payers = [a for a, _ in zip(accounts_on(0, SHARDS, 100), range(10), strict=False)]
    with shards_in(tmp_path, SHARDS, clock) as shards:
        await shards.submit(open_account(SHOP, "merchant/shop"))
        await shards.submit(open_account(FAR, "merchant/far"))
        for payer in payers:
            await shards.submit(open_account(payer))
            await shards.submit(deposit(payer, 1000))
            for number in range(5):
                await shards.submit(place_hold(payer, (SHOP, FAR)[number % 2], 10, 60))
        mover = SlotMover(shards, lambda: fresh_id(clock()))
        for payer in payers:
            await mover.move(slot_of(payer), 1)
        for payer in payers[::2]:
            await mover.move(slot_of(payer), 0)
        clock.us += MINUTE_US
        expiry = HoldExpiry(shards, clock)
        expiry.start()
        try:
            await nothing_is_held(shards, payers)
        finally:
            await expiry.close()
        assert await rows_of(shards, CommandKind.EXPIRE_HOLD) == [ACCEPTED] * 50
    assert verify_shards(tmp_path, SHARDS).faults == []


async def test_two_that_look_at_once_ask_for_the_same(tmp_path: Path) -> None:
    """As two switches do on one shard: the log has one row a hold."""
    clock = Clock()
    with shards_in(tmp_path, SHARDS, clock) as shards:
        await held(shards)
        clock.us += MINUTE_US
        both = (
            HoldExpiry(shards, clock).release_due_in(0),
            HoldExpiry(shards, clock).release_due_in(0),
        )
        assert sum(await asyncio.gather(*both)) == 4
        assert await rows_of(shards, CommandKind.EXPIRE_HOLD) == [ACCEPTED] * 2
    assert verify_shards(tmp_path, SHARDS).faults == []


async def test_a_shard_that_cannot_write_holds_up_only_its_own(tmp_path: Path) -> None:
    """Its disk is full: the other shard's holds expire, its own do when there is room again."""
    clock = Clock()
    bob = next(accounts_on(1, SHARDS, first=500))
    with shards_in(tmp_path, SHARDS, clock) as shards, structlog.testing.capture_logs() as logs:
        await held(shards)
        for command in (open_account(bob), deposit(bob, 500), place_hold(bob, SHOP, 500, 60)):
            assert not (await shards.submit(command)).decline
        db = written_here(shards, 0)._store._db  # type: ignore[attr-defined]
        db.pragma("max_page_count", db.pragma("page_count"))
        await fill_up(shards)
        spendable = await available(shards)
        clock.us += MINUTE_US
        expiry = HoldExpiry(shards, clock)
        expiry.start()

        async def is_said() -> bool:
            return any(line["event"] == "holds wait" and line["shard"] == 0 for line in logs)

        async def is_released() -> bool:
            clock.us += 1_000_000
            return await available(shards) == spendable + 300

        try:
            await nothing_is_held(shards, [bob])
            await until(is_said)
            db.pragma("max_page_count", 1_000_000)
            await until(is_released)
        finally:
            await expiry.close()
    assert verify_shards(tmp_path, SHARDS).faults == []


async def test_a_slot_on_its_way_holds_up_only_its_own(tmp_path: Path) -> None:
    """Its hold is nowhere while it moves, and is released where it has come to."""
    clock = Clock()
    with shards_in(tmp_path, SHARDS, clock) as shards:
        await held(shards)
        other = next(accounts_on(0, SHARDS, first=500))
        await shards.submit(open_account(other))
        await shards.submit(deposit(other, 50))
        await shards.submit(place_hold(other, SHOP, 50, 60))
        move_id = fresh_id(clock())
        await shards.shard(0).submit(Depart(move_id, slot_of(ANN), 1, 1))
        clock.us += MINUTE_US
        expiry = HoldExpiry(shards, clock)
        assert await expiry.release_due() == 1
        await nothing_is_held(shards, [other])
        moved = await shards.shard(0).read(lambda reader: reader.moved())
        await SlotMover(shards, lambda: fresh_id(clock())).finish(0, moved[0])
        assert await expiry.release_due() == 2
        assert await available(shards) == 800
    assert verify_shards(tmp_path, SHARDS).faults == []
