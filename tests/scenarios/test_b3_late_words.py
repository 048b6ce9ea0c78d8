"""B3: what a machine says late, or in another order: what fell is paid, or told and counted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.scenarios.radios import Radio
from tests.scenarios.shop import Customer, Shop
from tests.scenarios.vendor import AGREE, WATER, Vendor, open_snacks, without_pin


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop of its own: its merchant of machines is entered once."""
    opened = Shop(tmp_path_factory.mktemp("late-words"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def running_vendor(shop: Shop, radios: dict[str, Radio]) -> Iterator[Vendor]:
    open_snacks(shop)
    with closing(Vendor(shop, "machine", radios["nfc"].reader())) as made:
        made.start("--ask-seconds", "1", "--vend-seconds", "5")
        yield made


@pytest.fixture
def vendor(running_vendor: Vendor) -> Iterator[Vendor]:
    """The machine, and nobody before it when the next customer comes."""
    yield running_vendor
    running_vendor.send_phones_away()
    running_vendor.machine.tray.clear()
    running_vendor.machine.wait_for(lambda: running_vendor.machine.state == "ready")


@pytest.fixture(scope="module")
def ann(shop: Shop) -> Customer:
    """A customer whose phone pays small amounts without PIN."""
    return without_pin(shop.customer("ann", 1_000_00))


def test_the_reader_is_enabled_in_the_middle(shop: Shop, vendor: Vendor, ann: Customer) -> None:
    """The machine says that it is ready, and then that the item fell: it is paid."""
    before = shop.switch.balance(ann.account)
    vendor.machine.motor_s = 0.5
    asked = vendor.select(WATER)
    phone = vendor.tap(ann, *AGREE)
    vendor.machine.wait_for(lambda: vendor.machine.state == "giving out")
    vendor.machine.enable_again()
    assert vendor.steps.next("settled")["payment_id"] == asked["payment_id"]
    phone.next("paid")
    assert shop.switch.balance(ann.account) == before - 150


def test_what_falls_too_late_is_told_and_counted(shop: Shop, vendor: Vendor, ann: Customer) -> None:
    """The money went back by then: the customer keeps the item, the operator sees it."""
    before = shop.switch.balance(ann.account)
    vendor.machine.motor_s = 3.0
    asked = vendor.select(WATER)
    phone = vendor.tap(ann, *AGREE)
    vendor.machine.wait_for(lambda: vendor.machine.state == "giving out")
    vendor.machine.enable_again()
    assert vendor.steps.next("voided")["payment_id"] == asked["payment_id"]
    assert phone.next("not-paid")["reason"] == "VOIDED"
    unpaid = vendor.steps.next("given_out_unpaid")
    assert (unpaid["payment_id"], unpaid["amount_minor"]) == (asked["payment_id"], 150)
    assert vendor.machine.tray == ["Sparkling water"]
    assert shop.switch.available(ann.account) == before
