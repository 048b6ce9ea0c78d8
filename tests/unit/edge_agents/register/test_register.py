"""The register: mission row B1 at the till, with what it must refuse and survive.

Real devices' drivers on ptys, a real gRPC server as the switch; the phone is in memory.
"""

from __future__ import annotations

from typing import cast

import grpc
import pytest

from edge_agents.journal import PaymentState, read_journal
from edge_agents.receipts import decode_qr, open_receipt
from kessai.v1 import decline_pb2, tap_pb2
from simulators.devices.paper_roll import qr_codes_of
from tests.unit.edge_agents.parties import SWITCH_KEY, Phone
from tests.unit.edge_agents.shop import BREAD, MILK, Shop, decline, forge, open_till

DECIDING = tap_pb2.TAP_STATUS_CUSTOMER_DECIDING
NO_MONEY = decline_pb2.DECLINE_REASON_INSUFFICIENT_FUNDS
UNAVAILABLE = grpc.StatusCode.UNAVAILABLE


async def test_a_phone_pays(shop: Shop) -> None:
    """From the first scan to the receipt, on paper and on the phone."""
    phone = Phone(DECIDING)
    async with open_till(shop):
        await shop.shows("Corner Shop")
        await shop.scan(BREAD, MILK)
        await shop.shows("Total EUR       4.78")
        await shop.scan("%PAY")
        await shop.shows("Hold phone to reader")
        shop.reader.put(phone)
        await shop.shows("Paid EUR        4.78")
        (slip,) = await shop.slips(1)
        await shop.events.wait_for("receipt_delivered")
        await shop.events.wait_for("receipt_printed")
    assert "Rye bread 1 kg" in slip
    assert "\nPAID\n" in slip
    assert [receipt.amount.amount_minor for receipt in phone.receipts] == [478]
    signed = decode_qr(qr_codes_of(shop.printer.roll.slips[0])[0])
    assert open_receipt(signed, SWITCH_KEY.public_key()) == phone.receipts[0]
    (entry,) = read_journal(shop.folder)
    assert (entry.state, entry.printed, entry.delivered) == (PaymentState.SETTLED, True, True)
    assert shop.display.text == "Closed"
    names = shop.events.names()
    steps = ["item_scanned", "waiting_for_tap", "phone_seen", "customer_deciding", "authorized"]
    steps += ["settling", "settled"]
    assert [name for name in names if name in steps] == ["item_scanned", *steps]


async def test_goods_by_weight(shop: Shop) -> None:
    """A label's weight is paid; without one, or for goods by the piece, the till says why not."""
    async with open_till(shop):
        await shop.scan("99506000134355")
        await shop.shows("Weight is missing")
        await shop.scan("01095060001343523103001250")
        await shop.shows("No price by weight")
        await shop.scan("HTTPS://ID.GS1.ORG/01/99506000134355/?3103=001250")
        await shop.shows("Bananas 1.250   2.24 Total EUR       2.24")
        await shop.scan("%PAY")
        await shop.events.wait_for("waiting_for_tap")
    assert shop.events.names().count("goods_refused") == 2
    (item,) = read_journal(shop.folder)[0].pending.request.items
    assert (item.description, item.unit_price_minor) == ("Bananas 1.250 kg x 1.79", 224)


async def test_the_next_customer_pays_with_a_new_order(shop: Shop) -> None:
    async with open_till(shop):
        for count in (1, 2):
            await shop.scan(BREAD, "%PAY")
            await shop.events.wait_for("waiting_for_tap", count)
            shop.reader.put(Phone())
            await shop.events.wait_for("receipt_delivered", count)
        await shop.slips(2)
    orders = [entry.pending.request.order_id for entry in read_journal(shop.folder)]
    assert orders == ["till-1-000002", "till-1-000001"]
    totals = {entry.pending.total.minor for entry in read_journal(shop.folder)}
    assert totals == {349}


async def test_too_little_money(shop: Shop) -> None:
    """The customer learns why; nothing is printed; the basket stays for another try."""
    phone = Phone()
    async with open_till(shop, decline(NO_MONEY)):
        await shop.scan(BREAD, "%PAY")
        await shop.shows("Hold phone")
        shop.reader.put(phone)
        await shop.shows("NOT PAID")
        await shop.events.wait_for("receipt_delivered")
        assert not shop.printer.roll.slips
        await shop.scan("%PAY")
        await shop.events.wait_for("waiting_for_tap", 2)
        shop.reader.put(phone)
        await shop.shows("Paid EUR        3.49")
        await shop.slips(1)
    assert shop.states() == ["settled", "declined"]
    ids = {entry.pending.payment_id for entry in read_journal(shop.folder)}
    assert len(ids) == 2


async def test_a_reason_of_a_newer_switch(shop: Shop) -> None:
    """Its number is as good as a name: the till goes on."""
    async with open_till(shop, decline(cast("decline_pb2.DeclineReason.ValueType", 999))):
        await shop.scan(BREAD, "%PAY")
        await shop.shows("Hold phone")
        shop.reader.put(Phone())
        await shop.shows("NOT PAID")
        await shop.events.wait_for("receipt_delivered")
        await shop.scan("%PAY")
        await shop.events.wait_for("waiting_for_tap", 2)
        shop.reader.put(Phone())
        await shop.shows("Paid EUR        3.49")


@pytest.mark.parametrize(
    ("status", "event"),
    [
        (tap_pb2.TAP_STATUS_CUSTOMER_DECLINED, "customer_declined"),
        (tap_pb2.TAP_STATUS_PHONE_LOCKED, "phone_refused"),
        (tap_pb2.TAP_STATUS_REQUEST_REFUSED, "phone_refused"),
    ],
)
async def test_a_phone_that_says_no(
    shop: Shop, status: tap_pb2.TapStatus.ValueType, event: str
) -> None:
    async with open_till(shop):
        await shop.scan(BREAD, "%PAY")
        await shop.shows("Hold phone")
        shop.reader.put(Phone(status))
        await shop.shows("NOT PAID")
        await shop.events.wait_for(event)
    assert shop.states() == ["abandoned"]
    assert not shop.switch.received


async def test_a_phone_that_is_not_understood_may_try_again(shop: Shop) -> None:
    async with open_till(shop):
        await shop.scan(BREAD, "%PAY")
        await shop.shows("Hold phone")
        shop.reader.put(Phone(tap_pb2.TAP_STATUS_NOT_UNDERSTOOD))
        await shop.shows("not understood")
        shop.reader.put(Phone())
        await shop.shows("Paid")
    assert shop.states() == ["settled"]


async def test_a_phone_that_leaves_half_way_comes_back(shop: Shop) -> None:
    """It is presented the same bytes, and pays once."""
    phone = Phone(DECIDING, DECIDING)
    phone.leave_after = 2
    async with open_till(shop):
        await shop.scan(BREAD, "%PAY")
        await shop.shows("Hold phone")
        shop.reader.put(phone)
        await shop.events.wait_for("phone_left")
        phone.leave_after = None
        shop.reader.put(phone)
        await shop.shows("Paid")
        await shop.slips(1)
    presented = [
        request.present_payment.payment_request.SerializeToString()
        for request in phone.seen
        if request.HasField("present_payment")
    ]
    assert len(presented) == 2
    assert len(set(presented)) == 1
    assert len(shop.switch.received) == 1


async def test_a_receipt_waits_for_its_phone(shop: Shop) -> None:
    """The phone left before it; a stranger's phone is told nothing, its own gets it."""
    phone, stranger = Phone(), Phone()
    phone.leave_after = 1
    async with open_till(shop):
        await shop.scan(BREAD, "%PAY")
        await shop.shows("Hold phone")
        shop.reader.put(phone)
        await shop.events.wait_for("phone_left")
        shop.reader.put(stranger)
        await shop.events.wait_for("phone_seen", 2)
        phone.leave_after = None
        shop.reader.put(phone)
        await shop.events.wait_for("receipt_delivered")
    assert len(phone.receipts) == 1
    assert [request.WhichOneof("body") for request in stranger.seen] == ["inquire_payment"]


async def test_a_receipt_does_not_wait_for_ever(shop: Shop) -> None:
    """After a quarter of an hour no phone is asked about it any more."""
    phone, next_phone = Phone(), Phone()
    phone.leave_after = 1
    async with open_till(shop):
        await shop.scan(BREAD, "%PAY")
        await shop.shows("Hold phone")
        shop.reader.put(phone)
        await shop.events.wait_for("phone_left")
    shop.clock.now_us += 16 * 60 * 1_000_000
    async with open_till(shop):
        shop.reader.put(next_phone)
        await shop.scan(MILK, "%PAY")
        await shop.shows("Paid EUR        1.29")
    assert next_phone.seen[0].HasField("present_payment")


async def test_a_receipt_that_its_phone_refuses_is_not_offered_again(shop: Shop) -> None:
    phone = Phone()
    phone.takes_receipts = False
    async with open_till(shop):
        for count in (1, 2):
            shop.reader.put(phone)
            await shop.scan(BREAD, "%PAY")
            await shop.events.wait_for("receipt_not_taken", count)
    bodies = [request.WhichOneof("body") for request in phone.seen]
    assert bodies == ["present_payment", "deliver_receipt"] * 2


async def test_a_lost_answer_is_asked_for_again(shop: Shop) -> None:
    async with open_till(shop, "lose", UNAVAILABLE):
        await shop.scan(BREAD, "%PAY")
        await shop.shows("Hold phone")
        shop.reader.put(Phone())
        await shop.shows("Paid")
    assert len(shop.switch.received) == 3
    assert len(set(shop.switch.received)) == 1
    assert shop.states() == ["settled"]


async def test_unknown_is_not_paid(shop: Shop) -> None:
    """The display says to keep the goods, nothing is printed; later the truth comes by itself."""
    async with open_till(shop, forge, forge):
        await shop.scan(BREAD, "%PAY")
        await shop.shows("Hold phone")
        shop.reader.put(Phone())
        await shop.shows("NOT YET PAID Do not hand over")
        assert shop.states() == ["authorized"]
        assert not shop.printer.roll.slips
        await shop.scan(MILK)
        await shop.events.wait_for("key_refused")
        await shop.shows("Paid EUR        3.49")
        await shop.slips(1)
    assert shop.events.names().index("unknown") < shop.events.names().index("settled")


async def test_an_unknown_payment_can_be_set_aside(shop: Shop) -> None:
    """The till goes on; the open payment still gets its outcome and its receipt."""
    async with open_till(shop, forge, UNAVAILABLE, UNAVAILABLE):
        await shop.scan(BREAD, "%PAY")
        await shop.shows("Hold phone")
        shop.reader.put(Phone())
        await shop.events.wait_for("unknown")
        await shop.scan("%CANCEL", MILK)
        await shop.shows("Total EUR       1.29")
        await shop.slips(1)
        await shop.shows("Total EUR       1.29")
    assert shop.states() == ["settled"]


async def test_an_older_outcome_does_not_touch_the_sale_at_hand(shop: Shop) -> None:
    """Set aside, then settled while the next customer is asked to pay: both pay their own."""
    async with open_till(shop, forge, *[UNAVAILABLE] * 2):
        await shop.scan(BREAD, "%PAY")
        await shop.shows("Hold phone")
        shop.reader.put(Phone())
        await shop.events.wait_for("unknown")
        await shop.scan("%CANCEL", MILK, "%PAY")
        await shop.events.wait_for("settled")
        await shop.shows("To pay EUR      1.29")
        shop.reader.put(Phone())
        await shop.shows("Paid EUR        1.29")
        await shop.slips(2)
    assert shop.states() == ["settled", "settled"]


async def test_cancel_before_the_tap(shop: Shop) -> None:
    """A phone that comes later is asked nothing."""
    phone = Phone()
    async with open_till(shop):
        await shop.scan(BREAD, "%PAY")
        await shop.shows("Hold phone")
        await shop.scan("%CANCEL")
        await shop.shows("CANCELLED")
        shop.reader.put(phone)
        await shop.scan(MILK)
        await shop.shows("Total EUR       1.29")
    assert shop.states() == ["abandoned"]
    assert not any(request.HasField("present_payment") for request in phone.seen)


async def test_cancel_while_the_customer_decides(shop: Shop) -> None:
    """The authorisation that comes after it is dropped, and never sent to the switch."""
    phone = Phone(*[DECIDING] * 5)
    async with open_till(shop):
        await shop.scan(BREAD, "%PAY")
        await shop.shows("Hold phone")
        shop.reader.put(phone)
        await shop.shows("Confirm on the phone")
        await shop.scan("%CANCEL")
        await shop.events.wait_for("cancelled")
    assert shop.states() == ["abandoned"]
    assert not shop.switch.received


async def test_cancel_is_too_late_once_it_is_authorised(shop: Shop) -> None:
    async with open_till(shop, "hang"):
        await shop.scan(BREAD, "%PAY")
        await shop.shows("Hold phone")
        shop.reader.put(Phone())
        await shop.events.wait_for("settling")
        await shop.scan("%CANCEL")
        await shop.events.wait_for("key_refused")
        await shop.shows("Paid")
    assert shop.states() == ["settled"]


async def test_a_request_expires(shop: Shop) -> None:
    phone = Phone(*[DECIDING] * 100)
    async with open_till(shop):
        await shop.scan(BREAD, "%PAY")
        await shop.shows("Hold phone")
        shop.reader.put(phone)
        await shop.shows("Confirm on the phone")
        shop.clock.now_us += 60_000_000
        await shop.shows("TIME IS UP")
    assert shop.states() == ["abandoned"]
    assert not shop.switch.received
