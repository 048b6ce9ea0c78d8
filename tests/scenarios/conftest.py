"""One shop a module: a switch and a register that run through all its scenarios."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.scenarios.shop import Customer, Register, Shop


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Give a shop whose books verify at the end."""
    opened = Shop(tmp_path_factory.mktemp("shop"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def running_register(shop: Shop) -> Register:
    """Give the module's register, running."""
    register = shop.register("till-1")
    register.start()
    return register


@pytest.fixture
def register(running_register: Register) -> Iterator[Register]:
    """Give the module's register, cleared for the next customer."""
    yield running_register
    running_register.send_phones_away()
    running_register.clear()


@pytest.fixture(scope="module")
def alice(shop: Shop) -> Customer:
    """Give a customer with enough money, on another shard than the shop."""
    return shop.customer("alice", 1_000_00)
