"""One shop for all scenarios: a switch and a register that run through them, with the customers.

A scenario that needs a register of its own pairs another terminal.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.scenarios.shop import Customer, Register, Shop


@pytest.fixture(scope="session")
def open_shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Give a shop whose books verify at the end."""
    opened = Shop(tmp_path_factory.mktemp("shop"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def shop(open_shop: Shop) -> Shop:
    """Give the shop of a module; some have one of their own."""
    return open_shop


@pytest.fixture(scope="module")
def running_register(shop: Shop) -> Register:
    """Give the register of a module; some have one of their own."""
    return shop.running_register()


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
