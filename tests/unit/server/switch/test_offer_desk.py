"""Offers by pages: as many as there are, and only what is on sale."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from kessai.v1.ticket_pb2 import TICKET_KIND_ADMISSION, TicketOffer
from server.domain.directory import Merchant
from server.identity.refusals import NotPermitted
from server.shards.directory import Directory
from server.shards.ticket_offers import TicketOffers
from server.switch.offer_desk import OfferDesk

NOW_US = 1_700_000_000_000_000
COUNT = 1_300


def an_offer(number: int, until_us: int) -> TicketOffer:
    """One of many."""
    offer = TicketOffer(
        offer_id=f"seat-{number:04}",
        merchant_id="hall",
        event_id="spring",
        event_name="Spring Concert " + "x" * 40,
        title=f"Row {number}",
        kind=TICKET_KIND_ADMISSION,
        admits=1,
    )
    offer.price.amount_minor, offer.price.currency_code = 2500, "EUR"
    offer.valid_until_time.FromMicroseconds(until_us)
    return offer


def test_what_is_on_sale_is_listed_by_pages(tmp_path: Path) -> None:
    """Every second is over; no page is too long, none is missing, none comes twice."""
    with closing(Directory(tmp_path / "directory.db")) as directory:
        offers = TicketOffers(directory.file)
        desk = OfferDesk(directory, offers, lambda: NOW_US)
        directory.merchants.add(Merchant("hall", "Hall", "7922", 100000007, None))
        with directory.file.transaction():
            for number in range(COUNT):
                desk.add(an_offer(number, NOW_US + 1 if number % 2 else NOW_US))
        listed, token = list[str](), ""
        while True:
            page, token = desk.page("hall", "hall", token, 500, with_over=False)
            assert len(page) <= 500
            listed += [kept.offer.offer_id for kept in page]
            if not token:
                break
        assert listed == [f"seat-{number:04}" for number in range(1, COUNT, 2)]
        everything, _ = desk.page("hall", "", "", COUNT, with_over=True)
        assert len(everything) == COUNT
        with pytest.raises(NotPermitted):
            desk.page("hall", "hall", "", 500, with_over=True)
        desk.withdraw("hall", "seat-0001")
        assert offers.find("hall", "seat-0001") is None
        page, _ = desk.page("hall", "hall", "", 1, with_over=False)
        assert page[0].offer.offer_id == "seat-0003"
