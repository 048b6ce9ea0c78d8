"""BLE over real radios: two Bluetooth adapters of this machine, one the terminal, one the phone.

    KESSAI_BLE_ADAPTERS=hci0,hci1 .venv/bin/python -m pytest --hardware tests/hardware/test_ble.py

It needs bluetoothd (BlueZ 5.62 or later) and the right to use it: root or the group `bluetooth`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

from edge_agents.links.message_link import LinkLost, Radio
from edge_agents.links.radio import open_radio
from simulators.phone.field import AppCard, Field, open_field

TERMINAL, PHONE = os.environ.get("KESSAI_BLE_ADAPTERS", "hci0,hci1").split(",")
PATIENCE_S = 20.0

pytestmark = pytest.mark.hardware


@pytest.fixture
def field() -> Iterator[Field]:
    """Give the phone's end."""
    field = open_field(f"ble:{PHONE},code=0417")
    yield field
    field.close()


@pytest.fixture
def card(field: Field) -> AppCard:
    """Give a phone whose app answers a message backwards."""
    return field.make_card(lambda message: message[::-1])


async def find(radio: Radio) -> float:
    """Wait for the phone and exchange messages; how long it took to find it, in seconds."""
    started = time.monotonic()
    link = await radio.wait_for_phone(PATIENCE_S)
    assert link is not None
    found_s = time.monotonic() - started
    for size in (0, 1, 240, 600, 2_000):
        message = os.urandom(size)
        assert await link.exchange(message, PATIENCE_S) == message[::-1]
    return found_s


async def test_messages_go_over_the_air(field: Field, card: AppCard) -> None:
    """The phone comes, talks, says goodbye, and comes again; once it just leaves."""
    radio = open_radio(f"ble:{TERMINAL},code=0417,rssi=-90")
    try:
        for _ in range(3):
            field.bring(card)
            assert await find(radio) < PATIENCE_S
            field.take_away()
            assert await radio.wait_until_gone(PATIENCE_S)
        field.bring(card)
        link = await radio.wait_for_phone(PATIENCE_S)
        assert link is not None
        field.close()
        with pytest.raises(LinkLost):
            await link.exchange(b"gone", 5.0)
    finally:
        await radio.close()


async def test_another_code_is_not_found(field: Field, card: AppCard) -> None:
    """The phone is there, and means another terminal."""
    radio = open_radio(f"ble:{TERMINAL},code=0418,rssi=-90")
    try:
        field.bring(card)
        assert await radio.wait_for_phone(10.0) is None
    finally:
        await radio.close()
