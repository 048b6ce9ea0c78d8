"""What a register survives: its own restart, an empty printer, and devices that are unplugged."""

from __future__ import annotations

import asyncio

import grpc

from edge_agents.accepted import HolderMark
from edge_agents.journal import Journal, PaymentState, read_journal
from kessai.v1 import tap_pb2
from kessai.v1.holder_pb2 import HolderAnswer
from tests.unit.edge_agents.parties import NOW_US, Phone, make_pending, make_sealed
from tests.unit.edge_agents.shop import BREAD, MILK, Shop, open_till

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE


async def test_an_authorised_payment_is_taken_up_first(shop: Shop) -> None:
    """The register died after it had stored the authorisation: the same bytes are sent."""
    pending = make_pending()
    sealed = make_sealed(pending)
    journal = Journal(shop.folder)
    journal.request(pending)
    journal.authorize(pending.request_id, sealed)
    journal.close()
    async with open_till(shop, UNAVAILABLE):
        await shop.shows("Paid EUR        4.34")
        (slip,) = await shop.slips(1)
        await shop.events.wait_for("receipt_printed")
    assert pending.payment_id in slip
    assert len(set(shop.switch.received)) == 1
    assert pending.signed.SerializeToString() in shop.switch.received[0]
    assert sealed.SerializeToString() in shop.switch.received[0]


async def test_nobody_is_greeted_with_what_was_set_aside_or_handed_over(shop: Shop) -> None:
    """One over which the switch fails, one that was accepted off line: both are asked about on."""
    journal = Journal(shop.folder)
    for order in ("till-1-000001", "till-1-000002"):
        pending = make_pending(order)
        journal.request(pending)
        journal.authorize(pending.request_id, make_sealed(pending))
        if order.endswith("1"):
            journal.set_aside(pending.request_id, "set aside: value out of range")
        else:
            journal.accept(pending.request_id, HolderMark(b"c" * 16), HolderAnswer(), NOW_US)
    journal.close()
    async with open_till(shop, *[grpc.StatusCode.INTERNAL] * 50):
        await shop.scan(BREAD)
        await shop.shows("Total EUR       3.49")
    assert shop.states() == ["authorized"] * 2


async def test_a_settled_payment_is_not_paid_twice_by_a_restart(shop: Shop) -> None:
    """The switch had settled, the answer was lost, and the register died."""
    phone = Phone()
    async with open_till(shop, *["lose"] * 50):
        await shop.scan(BREAD, "%PAY")
        await shop.shows("Hold phone")
        shop.reader.put(phone)
        await shop.events.wait_for("settling")
    assert shop.states() == ["authorized"]
    async with open_till(shop):
        await shop.shows("Paid EUR        3.49")
        await shop.slips(1)
        shop.reader.put(phone)
        await shop.events.wait_for("receipt_delivered")
    assert len(shop.switch.known) == 1
    assert len(set(shop.switch.received)) == 1
    assert len(phone.receipts) == 1


async def test_a_request_that_still_runs_waits_for_its_phone(shop: Shop) -> None:
    """The register died while the customer was looking at the phone; the same bytes are shown."""
    phone = Phone(*[tap_pb2.TAP_STATUS_CUSTOMER_DECIDING] * 2)
    phone.leave_after = 2
    async with open_till(shop):
        await shop.scan(BREAD, MILK, "%PAY")
        await shop.shows("Hold phone")
        shop.reader.put(phone)
        await shop.events.wait_for("phone_left")
    phone.leave_after = None
    async with open_till(shop):
        await shop.shows("To pay EUR      4.78")
        shop.reader.put(phone)
        await shop.shows("Paid EUR        4.78")
    presented = {
        request.present_payment.payment_request.SerializeToString()
        for request in phone.seen
        if request.HasField("present_payment")
    }
    assert len(presented) == 1
    assert shop.states() == ["settled"]


async def test_a_request_that_expired_meanwhile_is_given_up(shop: Shop) -> None:
    journal = Journal(shop.folder)
    journal.request(make_pending())
    journal.close()
    shop.clock.now_us += 60_000_000
    async with open_till(shop):
        await shop.shows("Corner Shop")
    assert shop.states() == ["abandoned"]


async def test_a_receipt_waits_for_paper(shop: Shop) -> None:
    """The payment stands; the receipt is printed when paper is back."""
    shop.printer.take_paper()
    async with open_till(shop):
        await pay(shop)
        await shop.events.wait_for("receipt_waits")
        await shop.shows("printer has no paper")
        assert shop.states() == ["settled"]
        assert not shop.printer.roll.slips
        shop.printer.put_paper()
        await shop.scan("%REPRINT")
        (slip,) = await shop.slips(1)
        await shop.events.wait_for("receipt_printed")
    assert "COPY" not in slip
    assert read_journal(shop.folder)[0].printed


async def test_a_receipt_waits_while_the_printer_is_open(shop: Shop) -> None:
    """The display says so, and shutting the cover brings one receipt, not two."""
    shop.printer.open_cover()
    async with open_till(shop):
        await pay(shop)
        await shop.events.wait_for("receipt_waits")
        await shop.shows("printer is open")
        await shop.scan("%REPRINT")
        shop.printer.open_cover(False)
        await shop.events.wait_for("receipt_printed")
    assert len(shop.printer.roll.slips) == 1


async def test_a_receipt_waits_over_a_restart(shop: Shop) -> None:
    shop.printer.take_paper(after_lines=3)
    async with open_till(shop):
        await pay(shop)
        await shop.events.wait_for("receipt_waits")
    shop.printer.roll.hanging.clear()
    shop.printer.put_paper()
    async with open_till(shop):
        (slip,) = await shop.slips(1)
        await shop.events.wait_for("receipt_printed")
    assert slip.startswith("Corner Shop")


async def test_an_unplugged_printer_prints_when_it_is_back(shop: Shop) -> None:
    async with open_till(shop):
        await asyncio.to_thread(shop.printer.line.unplug)
        await pay(shop)
        await shop.events.wait_for("device_lost")
        await shop.shows("printer unplugged")
        assert shop.states() == ["settled"]
        shop.printer.line.plug()
        await shop.events.wait_for("device_back")
        await shop.slips(1)


async def test_an_unplugged_scanner_is_said_and_comes_back(shop: Shop) -> None:
    async with open_till(shop):
        await shop.scan(BREAD)
        await shop.shows("Total EUR       3.49")
        await asyncio.to_thread(shop.scanner.line.unplug)
        await shop.events.wait_for("device_lost")
        await shop.shows("Scanner unplugged")
        shop.scanner.line.plug()
        await shop.events.wait_for("device_back")
        await shop.scan(MILK)
        await shop.shows("Total EUR       4.78")


async def test_an_unplugged_display_shows_the_same_again(shop: Shop) -> None:
    async with open_till(shop):
        await shop.shows("Corner Shop")
        await asyncio.to_thread(shop.display.line.unplug)
        await shop.scan(BREAD)
        await shop.events.wait_for("device_lost")
        shop.display.line.plug()
        await shop.events.wait_for("device_back")
        await shop.shows("Total EUR       3.49")


async def test_a_clean_stop_in_the_middle_loses_nothing(shop: Shop) -> None:
    async with open_till(shop):
        await shop.scan(BREAD, "%PAY")
        await shop.shows("Hold phone")
    assert shop.display.text == "Closed"
    assert [entry.state for entry in read_journal(shop.folder)] == [PaymentState.REQUESTED]


async def pay(shop: Shop) -> None:
    await shop.scan(BREAD, "%PAY")
    await shop.shows("Hold phone")
    shop.reader.put(Phone())
    await shop.events.wait_for("settled")
