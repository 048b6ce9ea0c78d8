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
    offered = [page for page in pages if page[1].strip() != "Welcome"]
    keys = [int(upper.split()[0]) for upper, _ in offered]
    assert (sorted(set(keys)), keys) == (list(range(1, 13)), sorted(keys))
    for upper, lower in offered:
        assert max(len(upper), len(lower)) <= COLUMNS
        assert f"{price / 100:.2f} EUR" in (upper + lower)
    said = " ".join(f"{upper} {lower}" for upper, lower in offered)
    assert all(word in said for word in f"{title} Long Night of Museums".split())


def test_without_line_or_offers_no_price_is_shown() -> None:
    on_sale = [make_offer("a", 500)]
    assert offers("Town Hall", on_sale, is_fresh=False)[1:] == [NO_LINE]
    assert offers("Town Hall", [], is_fresh=True)[1:] == [NOTHING_ON_SALE]
    for page in (NO_LINE, NOTHING_ON_SALE):
        assert all(len(line) <= COLUMNS for line in page)
