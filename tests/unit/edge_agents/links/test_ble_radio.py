"""What a phone, the air, bluetoothd or an adapter does wrong: an exchange ends, the radio never."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import time
from pathlib import Path

import pytest

from edge_agents.links.ble_link import BleLink
from edge_agents.links.ble_place import BUS_VARIABLE
from edge_agents.links.message_link import LinkLost
from edge_agents.links.radio import open_radio
from edge_agents.tap import SESSION_ID_BYTES, TapSession
from kessai.complaint import Complaint
from kessai.v1.envelope_pb2 import Signed
from simulators.air.air import Air
from tests.unit.edge_agents.links.airs import Room, room
from tests.unit.edge_agents.links.fields import PATIENCE_S

ROUNDS = int(os.environ.get("KESSAI_ROUNDS", "3"))


@pytest.mark.parametrize("mtu", [23, 24, 185, 517])
async def test_every_mtu(mtu: int, tmp_path: Path) -> None:
    """From the least that there is to more than a value may be long."""
    async with room(tmp_path) as made:
        with made.phone(f",mtu={mtu}"):
            link = await made.found()
            for size in (0, 1, mtu - 4, mtu - 3, 3 * mtu, 1500):
                message = os.urandom(size)
                assert await link.exchange(message, PATIENCE_S) == message[::-1], size


@pytest.mark.parametrize("fault", ["silent", "garbage", "endless", "slow"])
async def test_no_answer(fault: str, tmp_path: Path) -> None:
    """Within the time that was given, or at once; then the next phone is served."""
    async with room(tmp_path) as made:
        with made.phone(f",mtu=100,fault={fault}"):
            link = await made.found()
            started = time.monotonic()
            with pytest.raises(LinkLost):
                await link.exchange(bytes(700), 1.0)
            assert time.monotonic() - started < 3.0
            with pytest.raises(LinkLost):
                await link.exchange(b"again", 1.0)
        await made.works()


@pytest.mark.parametrize("fault", ["babble", "disorder"])
async def test_an_answer_that_means_nothing(fault: str, tmp_path: Path) -> None:
    """The framing has no numbers, so the message is wrong; the tap session sees that it is none."""
    async with room(tmp_path) as made:
        with made.phone(f",mtu=60,fault={fault}"):
            session = TapSession(await made.found(), bytes(range(SESSION_ID_BYTES)))
            with pytest.raises(LinkLost):
                await session.deliver(Signed(payload=os.urandom(300)))
        await made.works()


async def test_an_answer_that_nobody_asked_for(tmp_path: Path) -> None:
    """It could pass for the answer to the next message, so it ends the link."""
    async with room(tmp_path) as made:
        with made.phone(",fault=twice"):
            link = await made.found()
            assert await link.exchange(b"one", PATIENCE_S) == b"eno"
            assert isinstance(link, BleLink)
            await asyncio.wait_for(link.ended.wait(), PATIENCE_S)
            with pytest.raises(LinkLost, match="without being asked"):
                await link.exchange(b"two", PATIENCE_S)
        await made.works()


@pytest.mark.parametrize("drop", [1, 30, 250, 600, 900])
async def test_the_link_is_lost(drop: int, tmp_path: Path) -> None:
    """After so many bytes, on the way there or back: at once, not when time is up."""
    async with room(tmp_path) as made:
        with made.phone(f",mtu=60,drop={drop}"):
            started = time.monotonic()
            link = await made.found()
            with pytest.raises(LinkLost):
                await link.exchange(bytes(500), PATIENCE_S)
            assert time.monotonic() - started < PATIENCE_S / 2
        await made.works()


@pytest.mark.parametrize("fault", ["refuse", "vanish"])
async def test_no_connection_comes_about(fault: str, tmp_path: Path) -> None:
    """The phone is heard, and that is all; another one with the code is served meanwhile."""
    async with room(tmp_path) as made:
        with made.phone(f",rssi=-40,fault={fault}"):
            assert await made.radio.wait_for_phone(1.0) is None
            with made.phone(",rssi=-60"):
                assert await (await made.found()).exchange(b"me", PATIENCE_S) == b"em"


async def test_a_phone_leaves_while_it_is_connected_to(tmp_path: Path) -> None:
    """Its last advertisement is stale; the wait passes, and the next phone is served."""
    async with room(tmp_path) as made:
        with made.phone(",air_ms=300"):
            waiting = asyncio.ensure_future(made.radio.wait_for_phone(2.0))
            await asyncio.sleep(0.4)
        assert await waiting is None
        await made.works()


async def test_out_of_reach_and_back(tmp_path: Path) -> None:
    """The link is lost at once; the same phone is found again, and is gone when it is silent."""
    async with room(tmp_path) as made:
        with made.phone():
            link = await made.found()
            made.air.shut()
            with pytest.raises(LinkLost):
                await link.exchange(b"there?", PATIENCE_S)
            assert await made.radio.wait_until_gone(PATIENCE_S)
            made.air.open()
            assert await (await made.found()).exchange(b"back", PATIENCE_S) == b"kcab"
            made.air.shut()
            made.air.open()
            assert not await made.radio.wait_until_gone(0.5)


async def test_the_adapter_is_unplugged(tmp_path: Path) -> None:
    """While it talks and while it looks: both pass, and it works again when it is back."""
    async with room(tmp_path) as made:
        with made.phone():
            link = await made.found()
            made.air.unplug()
            with pytest.raises(LinkLost):
                await link.exchange(b"there?", PATIENCE_S)
            assert await made.radio.wait_until_gone(PATIENCE_S)
            assert await made.radio.wait_for_phone(0.3) is None
            made.air.plug()
            await made.found()


async def test_the_bus_is_restarted(tmp_path: Path) -> None:
    """The same for the bus."""
    async with room(tmp_path) as made:
        with made.phone():
            link = await made.found()
            made.air.hang_up()
            with pytest.raises(LinkLost):
                await link.exchange(b"there?", PATIENCE_S)
        await made.radio.wait_until_gone(PATIENCE_S)
        await made.works()


async def test_at_any_moment(tmp_path: Path, random_seed: int) -> None:
    """Whatever happens and whenever, exchanges answer or are lost, and the phone is found again."""
    chance = random.Random(random_seed)
    async with room(tmp_path) as made:
        disturbances = {
            "out of reach": (made.air.shut, made.air.open),
            "unplugged": (made.air.unplug, made.air.plug),
            "bus restarted": (made.air.hang_up, lambda: None),
        }
        for _ in range(ROUNDS):
            begin, end = disturbances[chance.choice(sorted(disturbances))]
            with made.phone(f",mtu={chance.choice((23, 247))}"):
                talking = asyncio.ensure_future(_talk(made, chance.randbytes(2_000)))
                await asyncio.sleep(chance.uniform(0, 0.5))
                begin()
                await asyncio.sleep(chance.uniform(0, 0.1))
                end()
                await asyncio.wait_for(talking, 4 * PATIENCE_S)
            await made.works()


async def _talk(made: Room, message: bytes) -> None:
    """Talk to whoever comes for half a second, as a terminal would; only LinkLost is allowed."""
    until_s = time.monotonic() + 0.5
    while time.monotonic() < until_s:
        link = await made.radio.wait_for_phone(0.2)
        with contextlib.suppress(LinkLost):
            while link is not None and time.monotonic() < until_s:
                assert await link.exchange(message, 2.0) == message[::-1]
        await made.radio.wait_until_gone(0.5)


async def test_a_terminal_that_was_killed_finds_its_phone(tmp_path: Path) -> None:
    """bluetoothd holds the connection, so the phone is not heard any more."""
    async with room(tmp_path) as made:
        with made.phone():
            await made.found()
            made.radio._link = None  # as if this one had never been
            link = await made.found()
            assert await link.exchange(b"you", PATIENCE_S) == b"uoy"


async def test_a_cancelled_exchange_ends_the_link(tmp_path: Path) -> None:
    """What would come could pass for the answer to the next message."""
    async with room(tmp_path) as made:
        with made.phone(",fault=slow"):
            link = await made.found()
            talk = asyncio.ensure_future(link.exchange(b"slow", PATIENCE_S))
            await asyncio.sleep(0.1)
            talk.cancel()
            with pytest.raises(asyncio.CancelledError):
                await talk
            with pytest.raises(LinkLost):
                await link.exchange(b"next", PATIENCE_S)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ("nonsense", "an adapter is named"),
        ("hci0,colour=red", "is no option"),
        ("hci0,code=12", "four digits"),
        ("hci0,rssi=near", "invalid literal"),
        ("unix:path=/nowhere/at/all", "system bus does not answer"),
        ("unix:nonsense", "system bus does not answer"),
    ],
)
def test_what_cannot_be_opened(options: str, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence that says why, and what it means."""
    monkeypatch.setenv(BUS_VARIABLE, "unix:path=/nowhere")
    with pytest.raises(Complaint, match=rf"cannot be opened: .*{why}.*No phone can pay here"):
        open_radio(f"ble:{options}")


async def test_an_adapter_that_is_not_there(tmp_path: Path) -> None:
    """Another name, switched off, pulled out."""
    air = Air(tmp_path / "air")
    try:
        air.unplug()
        with pytest.raises(Complaint, match="there is no adapter hci0"):
            open_radio(air.moniker)
        air.plug(powered=False)
        with pytest.raises(Complaint, match="switched off"):
            open_radio(air.moniker)
        with pytest.raises(Complaint, match="there is no adapter hci7"):
            open_radio("ble:hci7")
    finally:
        air.close()
