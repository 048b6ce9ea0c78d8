"""Messages travel over every field, through the radios' real stacks, whatever their length."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edge_agents.links.message_link import LinkLost
from simulators.phone.iso_dep import Card, LeftTheField
from tests.unit.edge_agents.links.fields import PATIENCE_S, Ground, ground, reversed_bytes


@pytest.fixture(params=["udp", "pn532"])
async def both(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ground]:
    """Give each field in turn."""
    async with ground(request.param, tmp_path) as made:
        yield made


@pytest.fixture(params=["udp", "pn532", "ble"])
async def every(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ground]:
    """Give each field of each radio in turn."""
    async with ground(request.param, tmp_path) as made:
        yield made


async def test_messages_of_any_length_come_back(every: Ground, random_seed: int) -> None:
    """From nothing to 20 kB, with the lengths around every border of chunk and block."""
    chance = random.Random(random_seed)
    link = await every.tap()
    borders = [0, 1, 246, 247, 248, 251, 252, 494, 495]
    for size in [*borders, *(chance.randrange(20_001) for _ in range(5)), 20_000]:
        message = chance.randbytes(size)
        assert await link.exchange(message, PATIENCE_S) == reversed_bytes(message), size


async def test_the_same_phone_is_found_again(every: Ground) -> None:
    """A phone that comes back gets a new link; the old one says that it is over."""
    card = every.phone()
    first = await every.tap(card)
    assert await first.exchange(b"once", PATIENCE_S) == b"ecno"
    assert not await every.radio.wait_until_gone(0.2)
    every.field.take_away()
    assert await every.radio.wait_until_gone(PATIENCE_S)
    second = await every.tap(card)
    assert await second.exchange(b"again", PATIENCE_S) == b"niaga"
    with pytest.raises(LinkLost):
        await first.exchange(b"old", PATIENCE_S)


async def test_nobody_comes(every: Ground) -> None:
    """The terminal stops waiting when it said it would."""
    started = time.monotonic()
    assert await every.radio.wait_for_phone(0.2) is None
    assert 0.15 < time.monotonic() - started < 1.0


async def test_a_slow_app_asks_for_more_time(every: Ground) -> None:
    """An answer after several frame waiting times arrives, and so does the next one."""

    def slow(message: bytes) -> bytes:
        if message == b"slow":
            time.sleep(0.25)
        return message

    link = await every.tap(every.phone(slow))
    assert await link.exchange(b"slow", PATIENCE_S) == b"slow"
    assert await link.exchange(b"fast", PATIENCE_S) == b"fast"


async def test_a_phone_that_asks_for_time_for_ever_is_given_up(every: Ground) -> None:
    """The deadline holds although the phone keeps the link alive; the next phone is served."""
    release = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stuck(message: bytes) -> bytes:
        asyncio.run_coroutine_threadsafe(release.wait(), loop).result(PATIENCE_S)
        return message

    link = await every.tap(every.phone(stuck))
    started = time.monotonic()
    with pytest.raises(LinkLost):
        await link.exchange(b"?", 0.3)
    assert time.monotonic() - started < 1.0
    release.set()
    every.field.take_away()
    assert await (await every.tap()).exchange(b"ok", PATIENCE_S) == b"ko"


class Leaver:
    """A card that is taken away at the n-th frame."""

    def __init__(self, card: Card, frames: int) -> None:
        self._card, self._left = card, frames

    def feed(self, frame: bytes) -> bytes | None:
        """Answer, or leave."""
        self._left -= 1
        if self._left < 0:
            raise LeftTheField
        return self._card.feed(frame)

    def deactivate(self) -> None:
        """Pass it on."""
        self._card.deactivate()


async def test_a_phone_leaves_half_way(every: Ground) -> None:
    """In the middle of a message; another tap works."""
    link = await every.tap(Leaver(every.phone(), 3))
    with pytest.raises(LinkLost):
        await link.exchange(bytes(800), PATIENCE_S)
    every.field.take_away()
    assert await (await every.tap()).exchange(b"ok", PATIENCE_S) == b"ko"


class Dropper:
    """A card whose frames get lost on the air: what it hears (odd) or what it says (even)."""

    def __init__(self, card: Card, lost: set[int], deaf: bool) -> None:
        self._card, self._lost, self._deaf, self._count = card, lost, deaf, 0

    def feed(self, frame: bytes) -> bytes | None:
        """Answer, or lose the frame or the answer."""
        self._count += 1
        if self._count not in self._lost:
            return self._card.feed(frame)
        if not self._deaf:
            self._card.feed(frame)
        return None

    def deactivate(self) -> None:
        """Pass it on."""
        self._card.deactivate()


@pytest.mark.parametrize("deaf", [True, False], ids=["the phone hears nothing", "answer lost"])
async def test_lost_frames_are_repeated(both: Ground, deaf: bool) -> None:
    """ISO-DEP's own recovery works in chained messages and chained answers."""
    # 1 RATS, 2 SELECT, then seven blocks out and answers back.
    message = bytes(range(250)) * 4
    link = await both.tap(Dropper(both.phone(), {3, 5, 8}, deaf))
    assert await link.exchange(message, PATIENCE_S) == reversed_bytes(message)


class ThinkingDropper:
    """A card that loses the first frame about more time, or its answer to it."""

    def __init__(self, card: Card, deaf: bool) -> None:
        self._card, self._deaf, self.lost = card, deaf, 0

    def feed(self, frame: bytes) -> bytes | None:
        """Answer, or lose the frame or the answer."""
        if frame[0] != 0xF2 or self.lost:
            return self._card.feed(frame)
        self.lost += 1
        if not self._deaf:
            self._card.feed(frame)
        return None

    def deactivate(self) -> None:
        """Pass it on."""
        self._card.deactivate()


@pytest.mark.parametrize("deaf", [True, False], ids=["the phone hears nothing", "answer lost"])
async def test_a_frame_is_lost_while_the_phone_thinks(both: Ground, deaf: bool) -> None:
    """The reader asks again, and gets the answer that the app gave once."""
    heard: list[bytes] = []

    def slow(message: bytes) -> bytes:
        heard.append(message)
        time.sleep(0.1)
        return message

    card = ThinkingDropper(both.phone(slow), deaf)
    link = await both.tap(card)
    assert await link.exchange(b"once", PATIENCE_S) == b"once"
    assert card.lost == 1
    assert heard == [b"once"]


async def test_a_cancelled_wait_frees_the_reader(every: Ground) -> None:
    """A caller that gives up does not block the next one until its time is over."""
    waiting = asyncio.ensure_future(every.radio.wait_for_phone(60))
    await asyncio.sleep(0.05)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await asyncio.wait_for(every.radio.wait_for_phone(0.05), 2) is None
    link = await every.tap()
    assert await link.exchange(b"ok", PATIENCE_S) == b"ko"
