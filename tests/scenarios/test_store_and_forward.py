"""Store and forward: a till that is cut off accepts what it may, and brings it later.

The line is cut by killing the switch. What is accepted waits in the till's journal, also while the
till itself is killed; then it is settled once, in order. What may not be accepted is not handed
over, and what the switch then refuses is told to the merchant.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from edge_agents.journal import PaymentState
from tests.running import kessai
from tests.scenarios.shop import (
    APPROVE,
    BREAD,
    CHOCOLATE,
    COFFEE,
    MILK,
    PRICES,
    Customer,
    Register,
    Shop,
)

TILL = "agent/corner-shop/till-offline"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Give a shop of this module's own, because its switch is killed."""
    opened = Shop(tmp_path_factory.mktemp("cut-off"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def paired_till(shop: Shop) -> Register:
    """A till that may accept up to 5.00 EUR without the switch."""
    till = shop.register("till-offline")
    operate(shop, "device", "config", TILL, "offline_payment_limit_minor=500")
    return till


@pytest.fixture
def till(shop: Shop, paired_till: Register) -> Iterator[Register]:
    """The till, running and in touch with the switch."""
    paired_till.start("--offline-days", "3")
    paired_till.steps.next("in_touch")
    yield paired_till
    paired_till.send_phones_away()
    if shop.switch.process.poll() is not None:
        shop.switch.restart()
    assert paired_till.steps.stop() == 0


def operate(shop: Shop, *words: str) -> str:
    """Run an operator's command; what it prints."""
    return kessai(*words, "--data", str(shop.switch.folder)).stdout


def buy_cut_off(till: Register, customer: Customer, *goods: str) -> str:
    """Buy while the switch is out of reach; how the till decides."""
    till.ring_up(*goods)
    phone = till.tap(customer, *APPROVE)
    decided = till.steps.next("accepted", "unknown", "not_accepted")
    if decided["event"] == "unknown":
        decided = till.steps.next("accepted", "not_accepted")
    phone.kill()
    return str(decided.get("reason", decided["event"]))


def test_what_was_accepted_is_settled_once_when_the_line_is_back(
    shop: Shop, till: Register, alice: Customer
) -> None:
    """Two purchases wait, the till is killed, the switch comes back: each is paid once."""
    before, earned = shop.switch.balance(alice.account), shop.earned()
    shop.switch.kill()
    for gtin in (BREAD, MILK):
        assert buy_cut_off(till, alice, gtin) == "accepted", till.steps.told
        till.display.wait_for("Receipt will follow")
        till.clear()
    listed = kessai("agent", "payments", "--folder", str(till.folder)).stdout
    assert listed.count("waiting") == 2
    till.kill()
    till.start("--offline-days", "3")
    till.scanner.scan("%CANCEL")
    shop.switch.restart()
    for _ in range(2):
        till.steps.next("settled")
    paid = PRICES[BREAD] + PRICES[MILK]
    assert shop.switch.balance(alice.account) == before - paid
    assert shop.earned() == earned + paid
    assert {entry.state for entry in till.journal()} == {PaymentState.SETTLED}
    shop.switch.verify()


@pytest.mark.parametrize("case", ["too much", "no credential", "a lost phone"])
def test_what_may_not_be_accepted_is_not_handed_over(shop: Shop, till: Register, case: str) -> None:
    """The customer does not get the goods, and pays once if the switch takes it later."""
    customer = shop.customer("carol", 10_000)
    if case == "no credential":
        (customer.folder / "holder.bin").unlink()
    if case == "a lost phone":
        operate(shop, "device", "revoke", f"phone/{customer.name}/{customer.name}")
        till.steps.next("deny_list_grew")
    shop.switch.kill()
    goods = COFFEE if case == "too much" else MILK
    reason = {
        "too much": "OFFLINE_LIMIT_EXCEEDED",
        "no credential": "CREDENTIAL_INVALID",
        "a lost phone": "CREDENTIAL_DENIED",
    }[case]
    assert buy_cut_off(till, customer, goods) == reason
    till.display.wait_for("Do not hand over")


def test_what_the_switch_refuses_later_is_told_to_the_merchant(shop: Shop, till: Register) -> None:
    """The customer had no money left: the till says so, and the goods are a loss."""
    poor = shop.customer("dave", PRICES[CHOCOLATE] - 1)
    till.clear()
    shop.switch.kill()
    assert buy_cut_off(till, poor, CHOCOLATE) == "accepted"
    shop.switch.restart()
    lost = till.steps.next("lost_after_acceptance")
    assert lost["amount_minor"] == PRICES[CHOCOLATE]
    assert "LOST" in kessai("agent", "payments", "--folder", str(till.folder)).stdout


def test_the_operator_sees_how_the_till_is(shop: Shop, till: Register) -> None:
    """In touch, with a reader that is ready; away once it is gone."""
    shown = operate(shop, "device", "show", TILL)
    assert "in touch" in shown
    assert "ready" in shown
    assert "offline_payment_limit_minor = 500" in shown
    till.kill()
    until = time.monotonic() + 60
    while "away since" not in operate(shop, "device", "show", TILL):
        assert time.monotonic() < until
        time.sleep(0.1)
    assert TILL in operate(shop, "device", "list")
    till.start()
