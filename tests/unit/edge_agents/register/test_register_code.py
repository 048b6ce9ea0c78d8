"""The register with a radio that needs a code: it stands on the display while a phone is wanted."""

from __future__ import annotations

from tests.unit.edge_agents.parties import Phone
from tests.unit.edge_agents.register.test_register import DECIDING
from tests.unit.edge_agents.shop import BREAD, MILK, Shop, open_till


async def test_each_payment_has_a_code(shop: Shop) -> None:
    """The display shows it with the total, and another one for the next customer."""
    shop.reader.next_codes = ["0417", "9230"]
    async with open_till(shop):
        for count, code in enumerate(("0417", "9230"), start=1):
            await shop.scan(BREAD, "%PAY")
            await shop.shows(f"To pay EUR      3.49 Code for phone: {code}")
            shop.reader.put(Phone())
            await shop.shows("Paid EUR        3.49")
            await shop.events.wait_for("receipt_delivered", count)
    assert shop.events.names().count("code_shown") == 2


async def test_a_code_that_the_radio_replaced(shop: Shop) -> None:
    """Two phones claimed the first one."""
    shop.reader.next_codes = ["0417"]
    async with open_till(shop):
        await shop.scan(MILK, "%PAY")
        await shop.shows("Code for phone: 0417")
        shop.reader.code = "5555"
        await shop.shows("To pay EUR      1.29 Code for phone: 5555")


async def test_the_code_stands_there_again_when_a_phone_left(shop: Shop) -> None:
    """The customer was asked to look at the phone, and the link was lost: the code is the same."""
    shop.reader.next_codes = ["0417", "9230"]
    phone = Phone(*[DECIDING] * 9)
    phone.leave_after = 3
    async with open_till(shop):
        await shop.scan(BREAD, "%PAY")
        await shop.shows("Code for phone: 0417")
        shop.reader.put(phone)
        await shop.shows("Confirm on the phone")
        await shop.shows("To pay EUR      3.49 Code for phone: 0417")
        shop.reader.put(Phone())
        await shop.shows("Paid EUR        3.49")


async def test_a_receipt_is_fetched_with_the_code(shop: Shop) -> None:
    """The phone left before it got the receipt: the display says in turn how to fetch it."""
    shop.reader.next_codes = ["0417"]
    phone = Phone()
    phone.leave_after = 1
    async with open_till(shop):
        await shop.scan(BREAD, "%PAY")
        await shop.shows("Code for phone: 0417")
        shop.reader.put(phone)
        await shop.events.wait_for("settled")
        await shop.shows("Receipt on the phone Code for phone: 0417")
        await shop.shows("Paid EUR        3.49")
        phone.leave_after = None
        shop.reader.put(phone)
        await shop.events.wait_for("receipt_delivered")
        await shop.scan(MILK)
        await shop.shows("Total EUR       1.29")
    assert [receipt.amount.amount_minor for receipt in phone.receipts] == [349]


async def test_touch_needs_no_code(shop: Shop) -> None:
    """Over NFC nothing is said of one."""
    async with open_till(shop):
        await shop.scan(BREAD, "%PAY")
        await shop.shows("To pay EUR      3.49 Hold phone to reader")
        shop.reader.put(Phone())
        await shop.events.wait_for("receipt_delivered")
    assert "code_shown" not in shop.events.names()
