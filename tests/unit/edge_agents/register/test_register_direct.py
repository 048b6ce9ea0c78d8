"""A register whose customers' phones submit by their own line (mission row B2).

The switch of these tests tells what a test says; the phone only claims.
"""

from __future__ import annotations

import asyncio

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_agents.journal import Journal, read_journal
from edge_agents.payment_request import PendingPayment
from kessai.v1 import decline_pb2, payment_pb2, tap_pb2
from tests.unit.edge_agents.parties import (
    WAIT_S,
    Phone,
    make_pending,
    make_receipt,
    sign_receipt,
)
from tests.unit.edge_agents.shop import BREAD, MILK, Shop, open_till

DECIDING, SUBMITTING = tap_pb2.TAP_STATUS_CUSTOMER_DECIDING, tap_pb2.TAP_STATUS_SUBMITTING
NO_MONEY = decline_pb2.DECLINE_REASON_INSUFFICIENT_FUNDS
MINUTE_US = 60_000_000


@pytest.fixture
def direct(shop: Shop) -> Shop:
    shop.submission = "direct"
    return shop


async def ask(shop: Shop, *decisions: tap_pb2.TapStatus.ValueType) -> tuple[PendingPayment, Phone]:
    """Scan, press PAY, and hold a phone to the reader."""
    count = shop.events.names().count("waiting_for_tap") + 1
    await shop.scan(BREAD, "%PAY")
    await shop.events.wait_for("waiting_for_tap", count)
    phone = Phone(*decisions)
    shop.reader.put(phone)
    return shop.newest(), phone


def submit(shop: Shop, pending: PendingPayment, reason: int = 0) -> None:
    """Let the phone's submission reach the switch, which tells the register."""
    known = decline_pb2.DeclineReason.ValueType(reason)
    receipt = sign_receipt(make_receipt(pending, known))
    shop.switch.known[pending.payment_id] = receipt
    shop.switch.tell(receipt)


async def test_the_phone_submits_and_the_register_is_told(direct: Shop) -> None:
    """The terminal is given nothing and sends nothing; it waits for the receipt."""
    async with open_till(direct):
        pending, phone = await ask(direct, DECIDING, SUBMITTING)
        await direct.events.wait_for("submitting")
        await direct.shows("One moment")
        assert direct.states() == ["presented"]
        submit(direct, pending)
        await direct.shows("Paid EUR        3.49")
        await direct.slips(1)
        await direct.events.wait_for("receipt_delivered")
    assert pending.request.submitter == payment_pb2.PAYMENT_SUBMITTER_PHONE
    assert direct.states() == ["settled"]
    assert direct.switch.received == []
    assert len(phone.receipts) == 1


async def test_a_decline_is_told_too(direct: Shop) -> None:
    async with open_till(direct):
        pending, _ = await ask(direct, SUBMITTING)
        await direct.events.wait_for("submitting")
        submit(direct, pending, NO_MONEY)
        await direct.shows("NOT PAID")
    assert direct.states() == ["declined"]
    assert direct.printer.roll.slips == []


async def test_a_phone_that_only_claims_opens_nothing(
    direct: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does another payment's receipt, or one that the switch did not sign."""
    monkeypatch.setattr("edge_agents.tap_desk.SETTLE_BUDGET_S", 1.0)
    async with open_till(direct):
        pending, _ = await ask(direct, SUBMITTING)
        await asyncio.wait_for(direct.switch.followed.wait(), WAIT_S)
        forged = sign_receipt(make_receipt(pending), Ed25519PrivateKey.generate())
        foreign = sign_receipt(make_receipt(make_pending()))
        other_amount = sign_receipt(make_receipt(pending, amount=make_pending().request.total))
        for receipt in (forged, foreign, other_amount):
            direct.switch.tell(receipt)
        await direct.events.wait_for("unknown", 3)
        await direct.shows("NOT YET PAID")
        assert direct.states() == ["presented"]
        direct.clock.now_us += 2 * MINUTE_US
        await direct.events.wait_for("not_taken")
        await direct.shows("NOT PAID")
    assert direct.states() == ["abandoned"]
    assert direct.printer.roll.slips == []


async def test_a_result_before_the_phone_has_said_a_word(direct: Shop) -> None:
    """It left the field, and paid while it was away."""
    async with open_till(direct):
        pending, phone = await ask(direct, DECIDING)
        phone.leave_after = 1
        await direct.events.wait_for("phone_left")
        submit(direct, pending)
        await direct.shows("Paid EUR        3.49")
        await direct.slips(1)


async def test_a_result_that_is_faster_than_the_phones_answer(direct: Shop) -> None:
    """The phone still stands at the reader: it gets its receipt there and then."""
    async with open_till(direct):
        pending, phone = await ask(direct, DECIDING)
        await direct.events.wait_for("customer_deciding")
        submit(direct, pending)
        await direct.events.wait_for("receipt_delivered")
        assert direct.events.names().count("phone_seen") == 1
    assert len(phone.receipts) == 1


async def test_a_result_that_comes_twice_pays_once(direct: Shop) -> None:
    async with open_till(direct):
        pending, _ = await ask(direct, SUBMITTING)
        await direct.events.wait_for("submitting")
        submit(direct, pending)
        submit(direct, pending)
        await direct.shows("Paid")
        again, _ = await ask(direct, SUBMITTING)
        await direct.events.wait_for("submitting", 2)
        submit(direct, pending)
        submit(direct, again)
        await direct.slips(2)
    assert direct.states() == ["settled", "settled"]
    assert direct.events.names().count("settled") == 2


async def test_the_stream_breaks_and_nothing_is_missed(direct: Shop) -> None:
    """It is resumed with the token; and where it cannot be, the register asks by id."""
    async with open_till(direct):
        pending, _ = await ask(direct, SUBMITTING)
        await asyncio.wait_for(direct.switch.followed.wait(), WAIT_S)
        submit(direct, pending)
        await direct.shows("Paid")
        direct.switch.follow_plan = ["FIELD_INVALID"]
        direct.switch.tell(None)
        second, _ = await ask(direct, SUBMITTING)
        direct.switch.known[second.payment_id] = sign_receipt(make_receipt(second))
        await direct.events.wait_for("settled", 2)
        await direct.slips(2)
        await asyncio.wait_for(direct.switch.followed.wait(), WAIT_S)
    assert direct.switch.resumed == [b"", b"1", b""]


async def test_time_is_up_while_the_result_is_on_its_way(direct: Shop) -> None:
    """Unknown, not given up: then the result comes, and the goods are the customer's."""
    async with open_till(direct):
        pending, phone = await ask(direct, DECIDING)
        phone.leave_after = 1
        await direct.events.wait_for("phone_left")
        direct.clock.now_us += MINUTE_US
        await direct.shows("NOT YET PAID")
        assert direct.states() == ["presented"]
        submit(direct, pending)
        await direct.shows("Paid EUR        3.49")
    assert direct.states() == ["settled"]


async def test_a_cancelled_sale_that_is_paid_late_has_its_receipt(direct: Shop) -> None:
    """The next sale goes on undisturbed; the paper tells of the former one."""
    async with open_till(direct):
        pending, phone = await ask(direct, DECIDING)
        phone.leave_after = 1
        await direct.events.wait_for("phone_left")
        await direct.scan("%CANCEL")
        await direct.shows("SALE CANCELLED")
        await direct.scan(MILK)
        await direct.shows("Total EUR       1.29")
        submit(direct, pending)
        (slip,) = await direct.slips(1)
        assert pending.request.order_id in slip
        await direct.shows("Total EUR       1.29")
    assert direct.states() == ["settled"]


async def test_a_phone_says_no_and_the_same_goods_are_paid_by_another(direct: Shop) -> None:
    """The first request stays open until it has expired and the switch has none."""
    async with open_till(direct):
        first, _ = await ask(direct, tap_pb2.TAP_STATUS_CUSTOMER_DECLINED)
        await direct.events.wait_for("customer_declined")
        await direct.scan("%PAY")
        await direct.events.wait_for("waiting_for_tap", 2)
        second = direct.newest()
        direct.reader.put(Phone(SUBMITTING))
        await direct.events.wait_for("submitting")
        submit(direct, second)
        await direct.shows("Paid")
        assert direct.states() == ["settled", "presented"]
        direct.clock.now_us += 2 * MINUTE_US
        await direct.events.wait_for("not_taken")
    assert direct.states() == ["settled", "abandoned"]
    assert first.payment_id != second.payment_id


@pytest.mark.parametrize("paid", [True, False])
async def test_a_restart_asks_for_what_was_presented(direct: Shop, paid: bool) -> None:
    """The register died before it was told; what a phone may have paid is not given up."""
    pending = make_pending(now_us=lambda: direct.clock.now_us - MINUTE_US)
    journal = Journal(direct.folder)
    journal.request(pending)
    journal.present(pending.request_id)
    journal.close()
    if paid:
        direct.switch.known[pending.payment_id] = sign_receipt(make_receipt(pending))
    async with open_till(direct):
        if paid:
            await direct.shows("Paid EUR        4.34")
        else:
            await direct.shows("NOT YET PAID")
            direct.clock.now_us += MINUTE_US
            await direct.events.wait_for("not_taken")
    (entry,) = read_journal(direct.folder)
    assert entry.state.value == ("settled" if paid else "abandoned")


async def test_an_authorisation_for_a_direct_request_is_not_relayed(direct: Shop) -> None:
    """The phone did not understand what was asked; nothing is sent for it."""
    async with open_till(direct):
        await ask(direct, tap_pb2.TAP_STATUS_AUTHORIZED)
        await direct.shows("Phone not understood")
    assert direct.switch.received == []
    assert direct.states() == ["presented"]


async def test_a_claim_to_submit_a_relayed_request_is_no_answer(shop: Shop) -> None:
    async with open_till(shop):
        await ask(shop, SUBMITTING)
        await shop.shows("Phone not understood")
    assert shop.states() == ["requested"]
