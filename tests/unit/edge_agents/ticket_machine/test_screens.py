"""The ticket machine's idle pages fit the display, and never cut a price."""

from __future__ import annotations

import pytest

from edge_agents.devices.display import COLUMNS
from edge_agents.ticket_machine.screens import NO_LINE, NOTHING_ON_SALE, offers
from tests.unit.edge_agents.ticket_machine.offers import make_offer


@pytest.mark.parametrize("title", ["Adult", "Row 5, seat 12", "Forty characters " * 2])
@pytest.mark.parametrize("price", [500, 123_456_78])
def test_every_page_fits_and_shows_key_and_price(title: str, price: int) -> None:
    on_sale = [make_offer("a", price, title=title, event_name="Long Night of Museums")] * 12
    pages = offers("The Town Hall of a Long Name", on_sale, is_fresh=True)
    assert len(pages) == 13
    for key, (upper, lower) in enumerate(pages[1:], start=1):
        assert max(len(upper), len(lower)) <= COLUMNS
        assert upper.startswith(f"{key} {title[0]}")
        assert f"{price / 100:.2f} EUR" in (upper + lower)


def test_without_line_or_offers_no_price_is_shown() -> None:
    on_sale = [make_offer("a", 500)]
    assert offers("Town Hall", on_sale, is_fresh=False)[1:] == [NO_LINE]
    assert offers("Town Hall", [], is_fresh=True)[1:] == [NOTHING_ON_SALE]
    for page in (NO_LINE, NOTHING_ON_SALE):
        assert all(len(line) <= COLUMNS for line in page)
