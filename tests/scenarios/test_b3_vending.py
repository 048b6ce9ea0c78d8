"""B3: the customer selects, the machine prompts the phone, the switch approves, the item falls.

Money is held before the item falls and taken after; whatever goes wrong in between gives it back.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from edge_agents.journal import PaymentState
from simulators.devices.vending_machine import VendingMachine
from tests.scenarios.radios import OVER_BLE, OVER_NFC, Radio
from tests.scenarios.shop import APPROVE, Customer, Shop
from tests.scenarios.vendor import (
    AGREE,
    CHOCOLATE,
    JUICE,
    NUTS,
    PRICES,
    SANDWICH,
    SNACKS_NAME,
    WATER,
    Vendor,
    open_snacks,
    without_pin,
)

NOT_PAID = 3
TIMES = ("--ask-seconds", "2", "--vend-seconds", "5")


@pytest.fixture(scope="module")
def snacks(shop: Shop) -> str:
    """Give the account of the machines' merchant."""
    return open_snacks(shop)


@pytest.fixture(scope="module")
def running_vendors(
    shop: Shop, snacks: str, radios: dict[str, Radio]
) -> Iterator[dict[str, Vendor]]:
    """Give a machine on each kind of radio."""
    vendors = {kind: Vendor(shop, f"machine-{kind}", r.reader()) for kind, r in radios.items()}
    for vendor in vendors.values():
        vendor.start(*TIMES)
    yield vendors
    for vendor in vendors.values():
        vendor.close()


@contextmanager
def in_order(vendor: Vendor) -> Iterator[Vendor]:
    """Give a machine, healthy and full, for the next customer."""
    machine = vendor.machine
    heal(machine)
    machine.tray.clear()
    machine.shelves[WATER].stock = machine.shelves[CHOCOLATE].stock = 5
    yield vendor
    vendor.send_phones_away()
    heal(machine)
    machine.cancel()
    machine.wait_for(lambda: machine.state == "ready")


@pytest.fixture
def vendor(running_vendors: dict[str, Vendor], radio: Radio) -> Iterator[Vendor]:
    """Give the machine that phones reach by this radio."""
    with in_order(running_vendors[radio.kind]) as vendor:
        yield vendor


@pytest.fixture(scope="module")
def ann(shop: Shop) -> Customer:
    """Give a customer with 1,000.00 EUR whose phone pays up to 5.00 without PIN."""
    return without_pin(shop.customer("ann", 1_000_00))


def heal(machine: VendingMachine) -> None:
    """End every fault."""
    machine.jammed = machine.noisy = False
    machine.motor_s = 0.3
    adapter = machine.adapter
    adapter.silent = adapter.garbage = adapter.forgetful = False


def test_an_item_is_sold(shop: Shop, vendor: Vendor, ann: Customer, snacks: str) -> None:
    """Held, given out, captured; phone and machine show each step; no PIN for a small amount."""
    before, earned = shop.switch.balance(ann.account), shop.switch.balance(snacks)
    asked = vendor.select(WATER)
    vendor.shows("1.50 EUR")
    phone = vendor.tap(ann, *AGREE)
    purchase = phone.next("purchase")
    assert (purchase["shop"], purchase["total"]) == (SNACKS_NAME, "1.50 EUR")
    assert [item["description"] for item in purchase["items"]] == ["7 Sparkling water"]
    for step in ("held", "approved", "delivered", "settled"):
        assert vendor.steps.next(step)["payment_id"] == asked["payment_id"]
    vendor.shows("Enjoy it!")
    assert vendor.machine.tray == ["Sparkling water"]
    phone.next("held")
    assert phone.next("paid")["total"] == "1.50 EUR"
    assert (phone.end(), "enter-pin" in phone.names) == (0, False)
    assert vendor.entry(asked["payment_id"]).state is PaymentState.SETTLED
    assert shop.switch.balance(ann.account) == before - 150
    deposited(shop, snacks, earned + 150)
    shop.switch.verify()


def deposited(shop: Shop, account: str, minor: int) -> None:
    """Wait until what is owed to an account has arrived, and compare."""
    shop.earned()
    assert shop.switch.balance(account) == minor


@OVER_NFC
def test_a_jam_gives_the_money_back(shop: Shop, vendor: Vendor, ann: Customer) -> None:
    """The machine says that nothing fell: the hold is voided by itself, and both sides show it."""
    before = shop.switch.balance(ann.account)
    vendor.machine.jammed = True
    asked = vendor.select(WATER)
    phone = vendor.tap(ann, *AGREE)
    assert vendor.steps.next("voided")["payment_id"] == asked["payment_id"]
    vendor.shows("Your money is given back")
    refused = phone.next("not-paid")
    assert refused["reason"] == "VOIDED"
    assert "nothing was paid" in refused["message"]
    assert (vendor.machine.tray, phone.end()) == ([], NOT_PAID)
    assert shop.switch.balance(ann.account) == before
    assert available(shop, ann) == before
    vendor.machine.jammed = False
    vendor.buy(ann, CHOCOLATE)
    assert vendor.machine.tray == ["Chocolate bar"]


def available(shop: Shop, customer: Customer) -> int:
    """Tell what a customer can spend."""
    return shop.switch.available(customer.account)


@OVER_BLE
def test_sold_out_and_no_such_item(vendor: Vendor) -> None:
    """The machine itself says so; nobody is asked to pay."""
    seen = vendor.steps.names.count("vend_requested")
    vendor.machine.select(NUTS)
    vendor.shows("Sold out")
    vendor.machine.select(99)
    vendor.shows("No such item")
    assert vendor.steps.names.count("vend_requested") == seen


@OVER_NFC
def test_an_item_that_the_agent_does_not_know(vendor: Vendor) -> None:
    """The machine sells what is not in the agent's list: refused before any phone is asked."""
    vendor.machine.select(SANDWICH)
    refused = vendor.steps.next("vend_refused")
    assert (refused["item"], refused["why"]) == (SANDWICH, "Unknown item")
    vendor.shows("Unknown item")
    vendor.machine.wait_for(lambda: vendor.machine.state == "ready")


@OVER_BLE
def test_too_little_money(shop: Shop, vendor: Vendor) -> None:
    """Refused: shown on the machine and on the phone, and nothing falls."""
    poor = without_pin(shop.customer("poor", 100, shard=2))
    vendor.select(WATER)
    phone = vendor.tap(poor, *AGREE)
    assert vendor.steps.next("declined")["reason"] == "INSUFFICIENT_FUNDS"
    vendor.shows("Not enough money")
    assert phone.next("not-paid")["reason"] == "INSUFFICIENT_FUNDS"
    vendor.machine.wait_for(lambda: vendor.machine.state == "ready")
    assert vendor.machine.tray == []
    assert shop.switch.balance(poor.account) == 100


@OVER_NFC
def test_the_customer_says_no(vendor: Vendor, ann: Customer) -> None:
    """On the phone: the machine is told at once."""
    vendor.select(WATER)
    vendor.tap(ann, "--answer", "decline").next("cancelled")
    vendor.steps.next("customer_declined")
    vendor.shows("Not paid. Declined on the phone.")
    vendor.machine.wait_for(lambda: vendor.machine.state == "ready")


@OVER_BLE
def test_the_customer_cancels_at_the_machine(vendor: Vendor, ann: Customer) -> None:
    """The session is over; the phone that comes then is asked for nothing."""
    vendor.select(WATER)
    vendor.machine.cancel()
    vendor.steps.next("cancelled")
    vendor.machine.wait_for(lambda: vendor.machine.state == "ready")
    vendor.buy(ann, CHOCOLATE)
    assert vendor.machine.tray == ["Chocolate bar"]


@OVER_NFC
def test_the_phone_leaves_half_way(shop: Shop, vendor: Vendor, ann: Customer) -> None:
    """The request stands; the next tap pays it, once."""
    before = shop.switch.balance(ann.account)
    vendor.select(WATER)
    torn = vendor.tap(ann, *AGREE, "--leave-after-exchanges", "1")
    torn.end()
    phone = vendor.tap(ann, *AGREE)
    phone.next("paid")
    assert vendor.machine.tray == ["Sparkling water"]
    assert shop.switch.balance(ann.account) == before - 150


@OVER_BLE
def test_a_limit_decides_about_the_pin(shop: Shop, vendor: Vendor) -> None:
    """A phone with a lower limit asks for the PIN; one that claims it needed none is declined."""
    careful = without_pin(shop.customer("careful", 10_00), "1.00 EUR")
    vendor.select(WATER)
    phone = vendor.tap(careful, *APPROVE)
    phone.next("enter-pin")
    phone.next("paid")
    phone.kill()
    assert shop.switch.balance(careful.account) == 10_00 - 150


@OVER_NFC
def test_the_machine_is_reset_in_the_middle(shop: Shop, vendor: Vendor, ann: Customer) -> None:
    """It forgets the vend and nothing falls: the money is given back."""
    before = shop.switch.balance(ann.account)
    vendor.machine.motor_s = 3.0
    asked = vendor.select(WATER)
    phone = vendor.tap(ann, *AGREE)
    vendor.machine.wait_for(lambda: vendor.machine.state == "giving out")
    vendor.machine.reset()
    assert vendor.steps.next("voided")["payment_id"] == asked["payment_id"]
    assert phone.next("not-paid")["reason"] == "VOIDED"
    assert vendor.machine.tray == []
    assert available(shop, ann) == before


@OVER_BLE
def test_unplugged_in_the_middle(shop: Shop, vendor: Vendor, ann: Customer) -> None:
    """The line is lost while the motor turns; plugged in again, the machine tells that it fell."""
    before = shop.switch.balance(ann.account)
    vendor.machine.motor_s = 1.0
    asked = vendor.select(WATER)
    phone = vendor.tap(ann, *AGREE)
    vendor.machine.wait_for(lambda: vendor.machine.state == "giving out")
    vendor.machine.adapter.line.unplug()
    vendor.steps.next("device_lost")
    vendor.machine.wait_for(lambda: vendor.machine.tray == ["Sparkling water"])
    vendor.machine.adapter.line.plug()
    vendor.steps.next("device_back")
    assert vendor.steps.next("settled")["payment_id"] == asked["payment_id"]
    phone.next("paid")
    assert shop.switch.balance(ann.account) == before - 150


@OVER_NFC
def test_unplugged_and_nobody_can_tell(shop: Shop, vendor: Vendor, ann: Customer) -> None:
    """An adapter that forgets: what nobody can know is decided for the customer."""
    before = shop.switch.balance(ann.account)
    vendor.machine.motor_s, vendor.machine.adapter.forgetful = 1.0, True
    asked = vendor.select(WATER)
    phone = vendor.tap(ann, *AGREE)
    vendor.machine.wait_for(lambda: vendor.machine.state == "giving out")
    vendor.machine.adapter.line.unplug()
    vendor.steps.next("device_lost")
    vendor.machine.wait_for(lambda: vendor.machine.state == "ready")
    vendor.machine.adapter.line.plug()
    assert vendor.steps.next("voided")["payment_id"] == asked["payment_id"]
    phone.next("not-paid")
    assert available(shop, ann) == before


@OVER_BLE
def test_unplugged_before_anybody_paid(vendor: Vendor) -> None:
    """The request is over; nobody can pay for what no machine will give out."""
    vendor.select(JUICE)
    vendor.machine.adapter.line.unplug()
    vendor.steps.next("cancelled")
    vendor.machine.adapter.line.plug()
    vendor.steps.next("device_back")


@OVER_NFC
def test_a_silent_machine(shop: Shop, vendor: Vendor, ann: Customer) -> None:
    """It was told to give out and says nothing for its time: the money is given back."""
    before = shop.switch.balance(ann.account)
    vendor.machine.jammed = True
    asked = vendor.select(WATER)
    vendor.machine.adapter.silent = True
    phone = vendor.tap(ann, *AGREE)
    failed = vendor.steps.next("failed")
    assert (failed["payment_id"], failed["why"]) == (
        asked["payment_id"], "the machine told nothing in time",
    )  # fmt: skip
    vendor.steps.next("voided")
    assert phone.next("not-paid")["reason"] == "VOIDED"
    assert available(shop, ann) == before


@pytest.mark.parametrize("fault", ["garbage on the line", "a noisy bus", "a slow motor"])
@OVER_BLE
def test_a_rough_machine_sells_all_the_same(
    shop: Shop, vendor: Vendor, ann: Customer, fault: str
) -> None:
    """Rubbish between the lines, garbled blocks, a motor that takes its time."""
    before = shop.switch.balance(ann.account)
    vendor.machine.adapter.garbage = fault == "garbage on the line"
    vendor.machine.noisy = fault == "a noisy bus"
    vendor.machine.motor_s = 2.0 if fault == "a slow motor" else 0.2
    vendor.buy(ann, CHOCOLATE)
    assert vendor.machine.tray == ["Chocolate bar"]
    assert shop.switch.balance(ann.account) == before - PRICES[CHOCOLATE]


def test_a_phone_that_claims_it_needed_no_pin(
    shop: Shop, snacks: str, radios: dict[str, Radio]
) -> None:
    """Above the merchant's limit the switch declines it, whatever the phone says."""
    ann = shop.customer("cheat", 50_00)
    with closing(Vendor(shop, "machine-dear", radios["nfc"].reader())) as vendor:
        vendor.machine.shelves[WATER].price_minor = 501
        vendor.start()
        vendor.select(WATER)
        phone = vendor.tap(ann, *APPROVE, "--unverified")
        assert vendor.steps.next("declined")["reason"] == "CUSTOMER_NOT_VERIFIED"
        assert phone.next("not-paid")["reason"] == "CUSTOMER_NOT_VERIFIED"
        assert vendor.machine.tray == []


@OVER_NFC
def test_a_power_cut_while_it_falls(shop: Shop, vendor: Vendor, ann: Customer) -> None:
    """The agent dies after its yes; started again it hears that the item fell, and captures."""
    before = shop.switch.balance(ann.account)
    vendor.machine.motor_s = 1.0
    asked = vendor.select(WATER)
    vendor.tap(ann, *AGREE)
    vendor.machine.wait_for(lambda: vendor.machine.state == "giving out")
    vendor.kill()
    vendor.send_phones_away()
    vendor.machine.wait_for(lambda: vendor.machine.tray == ["Sparkling water"])
    vendor.start(*TIMES)
    assert vendor.steps.next("settled")["payment_id"] == asked["payment_id"]
    vendor.tap(ann, *AGREE).next("paid")
    assert shop.switch.balance(ann.account) == before - 150


@OVER_BLE
def test_a_power_cut_and_a_jam(shop: Shop, vendor: Vendor, ann: Customer) -> None:
    """Nothing fell, and the adapter has forgotten: the agent asks, waits, and gives it back."""
    before = shop.switch.available(ann.account)
    vendor.machine.motor_s, vendor.machine.jammed = 1.0, True
    vendor.machine.adapter.forgetful = True
    asked = vendor.select(WATER)
    vendor.tap(ann, *AGREE)
    vendor.machine.wait_for(lambda: vendor.machine.state == "giving out")
    vendor.kill()
    vendor.send_phones_away()
    vendor.machine.wait_for(lambda: vendor.machine.state == "ready")
    vendor.start(*TIMES)
    assert vendor.steps.next("failed")["payment_id"] == asked["payment_id"]
    vendor.steps.next("voided")
    vendor.tap(ann, *AGREE).next("not-paid")
    assert shop.switch.available(ann.account) == before


def test_the_phone_submits_by_its_own_line(
    shop: Shop, snacks: str, radios: dict[str, Radio], ann: Customer
) -> None:
    """Row B2 at the machine: it gives out on the receipt that the switch tells, and captures."""
    before = shop.switch.balance(ann.account)
    with closing(Vendor(shop, "machine-direct", radios["nfc"].reader())) as vendor:
        vendor.start("--submission", "direct")
        asked = vendor.select(WATER)
        phone = vendor.tap(ann, *AGREE)
        assert vendor.steps.next("settled")["payment_id"] == asked["payment_id"]
        phone.next("paid")
        assert vendor.machine.tray == ["Sparkling water"]
        vendor.send_phones_away()
        vendor.machine.jammed = True
        vendor.select(CHOCOLATE)
        vendor.tap(ann, *AGREE).next("not-paid")
    assert shop.switch.balance(ann.account) == available(shop, ann) == before - 150


@OVER_BLE
def test_the_line_to_the_switch_is_down(shop: Shop, vendor: Vendor) -> None:
    """Nothing is given out on an unknown outcome; what turns out to be held is given back."""
    lea = without_pin(shop.customer("lea", 10_00))
    shop.switch.kill()
    try:
        asked = vendor.select(WATER)
        phone = vendor.tap(lea, *AGREE)
        vendor.shows("No line to the bank. Not paid")
        vendor.machine.wait_for(lambda: vendor.machine.state == "ready")
    finally:
        shop.switch.restart()
    assert vendor.steps.next("voided", timeout_s=40)["payment_id"] == asked["payment_id"]
    assert phone.next("not-paid")["reason"] == "VOIDED"
    assert vendor.machine.tray == []
    assert available(shop, lea) == 10_00
