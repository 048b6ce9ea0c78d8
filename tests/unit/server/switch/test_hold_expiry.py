"""Holds that are due are released, here and towards other shards, also after a stop."""

from __future__ import annotations

from pathlib import Path

from server.shards.router import Shards
from server.switch.hold_expiry import HoldExpiry
from tests.unit.server.domain.commands import (
    MINUTE_US,
    accounts_on,
    deposit,
    open_account,
    place_hold,
)
from tests.unit.server.shards.parts import Clock, shards_in, verify_shards

SHARDS = 2
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
