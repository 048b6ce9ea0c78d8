"""Which phone is chosen: the right code, near enough, and clearly the nearest."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from bleak.backends.device import BLEDevice

from edge_agents.links.ble_choice import FRESH_S, SHUN_S, Ambiguous, Sightings
from tests.unit.edge_agents.links.airs import CODE, room
from tests.unit.edge_agents.links.fields import PATIENCE_S

NEAR, FAR = BLEDevice("C0:FF:EE:00:00:01", None, {}), BLEDevice("C0:FF:EE:00:00:02", None, {})


def heard(near: list[int], far: list[int], at_s: float = 0.0) -> Sightings:
    """Hear two phones so strongly."""
    sightings = Sightings(-70)
    for device, signals in ((NEAR, near), (FAR, far)):
        for rssi in signals:
            sightings.hear(device, rssi, at_s)
    return sightings


def test_the_near_one_is_chosen() -> None:
    """By 10 dB and more; the other one may be near enough, too."""
    assert heard([-50], [-60]).choose(0.0) is NEAR
    assert heard([-60], []).choose(0.0) is NEAR


def test_nobody_is_chosen_when_it_is_not_clear() -> None:
    """At 9 dB nobody can say."""
    with pytest.raises(Ambiguous):
        heard([-50], [-59]).choose(0.0)


def test_who_is_too_far_is_not_there() -> None:
    """Below the least signal: not chosen, and in nobody's way."""
    assert heard([], [-71]).choose(0.0) is None
    assert heard([-65], [-71]).choose(0.0) is NEAR


def test_one_loud_advertisement_does_not_make_a_phone_near() -> None:
    """The median of the last five counts."""
    assert heard([], [-80, -80, -80, -30, -80]).choose(0.0) is None
    assert heard([-80] * 5 + [-60] * 5, []).choose(0.0) is NEAR


def test_an_old_advertisement_is_worth_nothing() -> None:
    """Whoever was heard long ago may have left."""
    assert heard([-50], []).choose(FRESH_S) is NEAR
    assert heard([-50], []).choose(FRESH_S + 0.01) is None


def test_who_cannot_be_connected_to_is_left_out_for_a_while() -> None:
    """So the other one gets a turn; then it is tried again."""
    sightings = heard([-50], [-65])
    sightings.shun(NEAR, 0.0)
    assert sightings.choose(0.1) is FAR
    sightings.hear(NEAR, -50, SHUN_S)
    sightings.hear(FAR, -65, SHUN_S)
    assert sightings.choose(SHUN_S) is NEAR


async def test_a_phone_with_another_code_is_not_seen(tmp_path: Path) -> None:
    """Nor one without our service; the one with the code is found among them."""
    async with room(tmp_path) as made:
        with made.phone(",rssi=-30", code="0418"), made.phone(",rssi=-30", code="7140"):
            assert await made.radio.wait_for_phone(0.5) is None
            await made.works()


async def test_a_phone_across_the_room_is_not_meant(tmp_path: Path) -> None:
    """It has the code, and is received too weakly."""
    async with room(tmp_path, f",code={CODE},rssi=-60") as made:
        with made.phone(",rssi=-61"):
            assert await made.radio.wait_for_phone(0.5) is None
        with made.phone(",rssi=-60"):
            await made.found()


async def test_the_nearer_of_two_with_the_code_is_served(tmp_path: Path) -> None:
    """Somebody further away repeats what he heard."""
    async with room(tmp_path) as made:
        with made.phone(",rssi=-65"), made.phone(",rssi=-45"):
            link = await made.found()
            assert await link.exchange(b"who", PATIENCE_S) == b"ohw"
            connected = [phone for phone in made.air.phones() if phone.is_connected]
            assert [phone.conditions.rssi for phone in connected] == [-45]


async def test_a_code_that_two_claim_is_replaced(tmp_path: Path) -> None:
    """Neither of them is served; whoever reads the display has the new one."""
    async with room(tmp_path, "") as made:
        first = made.radio.code
        with made.phone(code=first), made.phone(code=first):
            deadline = time.monotonic() + PATIENCE_S
            while made.radio.code == first and time.monotonic() < deadline:
                assert await made.radio.wait_for_phone(0.1) is None
            assert made.radio.code == "0002"
            assert await made.radio.wait_for_phone(0.5) is None
            assert made.radio.code == "0002"
            with made.phone(code=made.radio.code):
                await made.found()


async def test_a_code_that_stays_waits_until_one_has_left(tmp_path: Path) -> None:
    """A sticker cannot change."""
    async with room(tmp_path) as made:
        with made.phone():
            with made.phone():
                assert await made.radio.wait_for_phone(0.6) is None
                assert made.radio.code == CODE
            await made.found()


async def test_the_code_of_an_earlier_payment_is_over(tmp_path: Path) -> None:
    """A phone that still advertises it is not seen any more, also while it is looked for."""
    async with room(tmp_path, "") as made:
        former = made.radio.code
        made.radio.new_code()
        assert made.radio.code != former
        with made.phone(code=former):
            assert await made.radio.wait_for_phone(0.5) is None
        former = made.radio.code
        looking = asyncio.ensure_future(made.radio.wait_for_phone(0.3))
        await asyncio.sleep(0.1)
        made.radio.new_code()
        assert await looking is None
        with made.phone(code=former):
            assert await made.radio.wait_for_phone(0.7) is None
        with made.phone(code=made.radio.code):
            assert await (await made.found()).exchange(b"new", PATIENCE_S) == b"wen"
