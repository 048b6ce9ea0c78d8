"""What a ticket machine's display says beside what every counter says (`counter.screens`)."""

from __future__ import annotations

from collections.abc import Sequence

from edge_agents.counter.screens import apart, idle
from edge_agents.devices.display import COLUMNS
from edge_agents.devices.paging import lines_of
from edge_agents.display_board import Page
from kessai.money import Money
from kessai.v1.ticket_pb2 import TicketOffer

NO_LINE: Page = ("No tickets now:", "the line is down")
NOTHING_ON_SALE: Page = ("No tickets on sale", "")


def offers(venue: str, on_sale: Sequence[TicketOffer], is_fresh: bool) -> list[Page]:
    """What there is: for each offer its key, title, price and event; key and price on each page."""
    welcome = idle(venue)
    if not is_fresh:
        return [*welcome, NO_LINE]
    if not on_sale:
        return [*welcome, NOTHING_ON_SALE]
    pages = [_offer(key, offer) for key, offer in enumerate(on_sale, start=1)]
    return [*welcome, *(page for offer in pages for page in offer)]


def _offer(key: int, offer: TicketOffer) -> list[Page]:
    price = Money.from_proto(offer.price)
    amount = f"{price.decimal()} {price.currency}"
    title = f"{key} {offer.title}"
    if len(title) + 1 + len(amount) <= COLUMNS:
        return [(apart(title, amount), line) for line in lines_of(offer.event_name, COLUMNS)]
    room = COLUMNS - len(f"{key} ")
    lines = [*lines_of(offer.title, room), *lines_of(offer.event_name, room)]
    return [(f"{key} {line}", apart("", amount)) for line in lines]
