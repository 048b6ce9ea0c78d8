"""One shop for all scenarios: a switch and a register that run through them, with the customers.

A scenario that needs a register of its own pairs another terminal.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from simulators.town import free_udp_port
from tests.scenarios.radios import KINDS, Radio
from tests.scenarios.railway import Railway
from tests.scenarios.shop import Customer, Register, Shop
from tests.scenarios.venue import EntranceAgent, TurnstileAgent, Venue


@pytest.fixture(scope="session")
def open_shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Give a shop whose books verify at the end."""
    opened = Shop(tmp_path_factory.mktemp("shop"))
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def radios(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Radio]]:
    """Give every kind of radio, for a scenario that needs more than one of them."""
    opened = {kind: make(tmp_path_factory.mktemp(kind)) for kind, make in KINDS.items()}
    yield opened
    for radio in opened.values():
        radio.close()


@pytest.fixture(
    scope="module",
    params=[pytest.param(kind, marks=pytest.mark.full if kind == "ble" else ()) for kind in KINDS],
)
def radio(request: pytest.FixtureRequest, radios: dict[str, Radio]) -> Radio:
    """Give NFC and BLE in turn: a scenario that takes it is played on both, in make test on NFC.

    `radio.reader()` is the moniker of a new reader, and of the field of the phones held to it.
    """
    return radios[request.param]


@pytest.fixture(scope="module")
def shop(open_shop: Shop) -> Shop:
    """Give the shop of a module; some have one of their own."""
    return open_shop


@pytest.fixture(scope="module")
def running_register(shop: Shop, radios: dict[str, Radio]) -> Register:
    """Give the register of a module; some have one of their own, or one for each kind of radio."""
    return shop.running_register(radios["nfc"])


@pytest.fixture
def register(running_register: Register) -> Iterator[Register]:
    """Give the module's register, cleared for the next customer."""
    yield running_register
    running_register.send_phones_away()
    running_register.clear()


@pytest.fixture(scope="module")
def alice(shop: Shop) -> Customer:
    """Give a customer with 1,000.00 EUR, on another shard than the shop; new in each module."""
    return shop.customer("alice", 1_000_00)


@pytest.fixture(scope="module")
def railway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Railway]:
    """Give a module a railway of its own, whose books verify at the end."""
    opened = Railway(tmp_path_factory.mktemp("railway"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def turnstile(venue: Venue, radios: dict[str, Radio]) -> Iterator[TurnstileAgent]:
    """An entrance over BLE whose door is a turnstile."""
    entrance = venue.turnstile("turnstile", radios["ble"].reader())
    entrance.start()
    yield entrance
    entrance.close()


@pytest.fixture(scope="module")
def lone_door(venue: Venue) -> Iterator[EntranceAgent]:
    """An entrance over NFC whose door has an OSDP reader; `venue` is the module's."""
    entrance = venue.entrance("lone-door", f"udp:127.0.0.1:{free_udp_port()}")
    entrance.start()
    yield entrance
    entrance.close()
