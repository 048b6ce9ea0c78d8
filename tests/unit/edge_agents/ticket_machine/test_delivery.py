"""Tickets go to the phone with the receipt, and again if they could not be had at first."""

from __future__ import annotations

from collections.abc import Sequence

from edge_agents.journal import read_journal
from edge_agents.payment_request import PendingPayment
from kessai.v1.envelope_pb2 import Signed
from tests.unit.edge_agents.parties import Phone
from tests.unit.edge_agents.shop import BREAD, Shop, open_till


async def test_tickets_that_cannot_be_had_come_with_the_next_tap(shop: Shop) -> None:
    """The phone learns that it has paid; the machine remembers that it owes the tickets."""
    can_be_had, asked = False, list[PendingPayment]()

    async def tickets_of(pending: PendingPayment) -> Sequence[Signed] | None:
        asked.append(pending)
        return [Signed(payload=b"ticket")] * 2 if can_be_had else None

    shop.tickets_of, phone = tickets_of, Phone()
    async with open_till(shop):
        await shop.scan(BREAD, "%PAY")
        await shop.shows("Hold phone")
        shop.reader.put(phone)
        await shop.events.wait_for("tickets_wait")
        assert not read_journal(shop.folder)[0].delivered
        can_be_had = True
        shop.reader.put(phone)
        await shop.events.wait_for("receipt_delivered")
    bodies = [seen.deliver_receipt for seen in phone.seen if seen.HasField("deliver_receipt")]
    assert [len(body.tickets) for body in bodies] == [0, 2]
    assert asked == [shop.newest()] * 2
    assert shop.states() == ["settled"]
