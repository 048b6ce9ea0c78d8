"""B1: items are scanned, the phone authorises, the register forwards, the switch settles at once.

The shop hands over the goods on that answer, and on nothing else. What goes wrong on the way to the
answer is in `test_b1_lost_answer.py`.
"""

from __future__ import annotations

import threading
from pathlib import Path

import grpc
import pytest
import zxingcpp
from PIL import Image

from edge_agents.journal import PaymentState
from edge_agents.payment_request import RequestMaker
from edge_agents.terminal import open_terminal
from kessai.money import Money
from kessai.v1.payment_pb2 import LineItem, Receipt
from simulators.devices.paper_roll import Printed, draw_slip, text_of
from tests.running import kessai
from tests.scenarios.following import Followed
from tests.scenarios.shop import (
    APPROVE,
    BREAD,
    CHOCOLATE,
    COFFEE,
    EGGS,
    MILK,
    PIN,
    PRICES,
    SHOP_NAME,
    Customer,
    Register,
    Shop,
    certificate_of,
    reason_of,
    total_of,
)

NOT_PAID = 3


def views(phone: Followed) -> list[str]:
    """Wait until the phone has left; the pages that it showed."""
    phone.end()
    return phone.names


def test_a_purchase_is_paid(shop: Shop, register: Register, alice: Customer) -> None:
    """The phone shows shop, items and total; the switch settles; display and paper say paid."""
    before, shop_before = shop.switch.balance(alice.account), shop.switch.balance(shop.account)
    slips = len(register.printer.roll.slips)
    asked = register.ring_up(BREAD, MILK, MILK)
    register.display.wait_for("To pay EUR      6.07 Hold phone to reader")
    phone = register.tap(alice, *APPROVE)
    purchase = phone.next("purchase")
    assert (purchase["shop"], purchase["total"]) == (SHOP_NAME, "6.07 EUR")
    assert [(i["description"], i["quantity"], i["amount"]) for i in purchase["items"]] == [
        ("Rye bread 1 kg", 1, "3.49"),
        ("Whole milk 1 l", 2, "2.58"),
    ]
    assert register.steps.next("settled")["payment_id"] == asked["payment_id"]
    register.display.wait_for("Paid EUR        6.07 Thank you!")
    paid = phone.next("paid")
    assert (paid["shop"], paid["total"], phone.end()) == (SHOP_NAME, "6.07 EUR", 0)
    paper = text_of(register.printer.wait_for_slips(slips + 1)[-1])
    for said in (SHOP_NAME, "Rye bread 1 kg", "2 x 1.29", "6.07 EUR", "PAID", "Signed by the switch"):
        assert said in paper
    assert asked["payment_id"] in paper
    assert shop.switch.balance(alice.account) == before - 607
    wait_for_balance(shop, shop_before + 607)
    shop.switch.verify()


def test_too_little_money(shop: Shop, register: Register) -> None:
    """Declined: display and phone say why, nothing moves, and cheaper goods can be bought then."""
    bob = shop.customer("bob", cash=500, shard=2)
    register.ring_up(COFFEE)
    phone = register.tap(bob, *APPROVE)
    assert register.steps.next("declined")["reason"] == "INSUFFICIENT_FUNDS"
    register.display.wait_for("NOT PAID Not enough money in")
    refused = phone.next("not-paid")
    assert refused["message"] == "Not enough money in the account."
    assert (refused["reason"], phone.end()) == ("INSUFFICIENT_FUNDS", NOT_PAID)
    assert shop.switch.balance(bob.account) == 500
    register.clear()
    register.ring_up(BREAD)
    phone = register.tap(bob, *APPROVE)
    register.steps.next("settled")
    phone.next("paid")
    assert (phone.end(), shop.switch.balance(bob.account)) == (0, 151)


def test_wrong_pin(shop: Shop, register: Register) -> None:
    """Five wrong PINs lock the phone; the register says so; the right one does not help later."""
    carol = shop.customer("carol", cash=5_000)
    register.ring_up(MILK)
    phone = register.tap(carol, "--answer", "wrong-pin")
    assert [phone.next("enter-pin")["tries_left"] for _ in range(5)] == [5, 4, 3, 2, 1]
    assert "Call your bank" in phone.next("locked")["message"]
    register.steps.next("phone_refused")
    register.display.wait_for("NOT PAID The phone is locked.")
    assert phone.end() == NOT_PAID
    register.pay()
    later = register.tap(carol, *APPROVE)
    later.next("locked")
    register.steps.next("phone_refused")
    assert later.end() == NOT_PAID
    assert shop.switch.balance(carol.account) == 5_000


def test_the_customer_declines(shop: Shop, register: Register, alice: Customer) -> None:
    """A no is a no; the basket stays, and another customer can pay it."""
    before = shop.switch.balance(alice.account)
    asked = register.ring_up(EGGS)
    phone = register.tap(alice, "--answer", "decline")
    phone.next("cancelled")
    register.steps.next("customer_declined")
    register.display.wait_for("NOT PAID Declined on the")
    assert phone.end() == NOT_PAID
    assert register.entry(asked["payment_id"]).state is PaymentState.ABANDONED
    again = register.pay()
    assert again["payment_id"] != asked["payment_id"]
    phone = register.tap(alice, *APPROVE)
    register.steps.next("settled")
    assert views(phone)[-1] == "paid"
    assert shop.switch.balance(alice.account) == before - total_of(EGGS)


@pytest.mark.parametrize(
    ("lie", "reason"),
    [
        (("--authorize-minor", "1"), "AUTHORIZATION_MISMATCH"),
        (("--authorize-minor", "99999"), "AUTHORIZATION_MISMATCH"),
        (("--authorize-merchant", "other-shop"), "AUTHORIZATION_MISMATCH"),
        (("--authorize-terminal", "till-9"), "AUTHORIZATION_MISMATCH"),
        (("--alter",), "AUTHORIZATION_UNREADABLE"),
        (("--replay",), "AUTHORIZATION_UNREADABLE"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_an_authorisation_for_something_else(
    shop: Shop, register: Register, alice: Customer, lie: tuple[str, ...], reason: str
) -> None:
    """Another amount, shop or terminal, altered bytes, an old authorisation: nothing moves."""
    before = shop.switch.balance(alice.account)
    asked = register.ring_up(CHOCOLATE)
    phone = register.tap(alice, *APPROVE, *lie)
    declined = register.steps.next("declined")
    assert (declined["payment_id"], declined["reason"]) == (asked["payment_id"], reason)
    register.display.wait_for("NOT PAID")
    assert phone.next("not-paid")["reason"] == reason
    assert phone.end() == NOT_PAID
    assert register.entry(asked["payment_id"]).state is PaymentState.DECLINED
    assert shop.switch.balance(alice.account) == before


@pytest.mark.parametrize("frames", [1, 2, 4, 6, 8, 9, 10, 11, 12, 13])
def test_a_phone_that_leaves_half_way(
    shop: Shop, register: Register, alice: Customer, frames: int
) -> None:
    """Wherever it is torn off: the customer taps again, and pays once."""
    before = shop.switch.balance(alice.account)
    asked = register.ring_up(BREAD)
    torn = register.tap(alice, *APPROVE, "--leave-after-frames", str(frames), "--stay", "1.5")
    torn.end()
    if "paid" not in torn.names:
        phone = register.tap(alice, *APPROVE)
        phone.next("paid")
        assert phone.end() == 0
    assert register.steps.next("settled")["payment_id"] == asked["payment_id"]
    assert shop.switch.balance(alice.account) == before - total_of(BREAD)
    assert [entry.state for entry in register.journal()[:1]] == [PaymentState.SETTLED]


def wait_for_balance(shop: Shop, minor: int) -> None:
    """Wait until the shop's account holds so much: it is credited right after the answer."""
    tick = threading.Event()
    for _ in range(500):
        if shop.switch.balance(shop.account) == minor:
            return
        tick.wait(0.02)
    raise AssertionError(f"the shop has {shop.switch.balance(shop.account)}, not {minor}")
