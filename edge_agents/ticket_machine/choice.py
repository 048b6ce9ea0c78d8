"""What a customer chose: tickets of one or several offers, in one currency, and the total.

The ticket machine's basket; its lines become the items and the ticket orders of the request.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from kessai.money import MAX_AMOUNT, Money
from kessai.v1.payment_pb2 import LineItem, PaymentRequest
from kessai.v1.ticket_pb2 import TicketOffer, TicketOrder

# Of one payment: `PaymentRequest.ticket_orders`.
MAX_TICKETS = 20
_MAX_DESCRIPTION = 60


@dataclass(frozen=True, slots=True)
class Wanted:
    """Some tickets of one offer: what display and receipt call it, the price of one, how many."""

    offer_id: str
    title: str
    description: str
    price: Money
    count: int

    @property
    def total(self) -> Money:
        """What they cost together."""
        return Money(self.count * self.price.minor, self.price.currency)


class DoesNotFit(Exception):
    """Too many tickets, or of another currency, for one payment; the message is for people."""


class Choice:
    """What is chosen so far, in the order of choosing."""

    def __init__(self) -> None:
        self._wanted: list[Wanted] = []

    @classmethod
    def of_request(cls, request: PaymentRequest) -> Choice:
        """Choose again what a request of this machine orders."""
        choice, currency = cls(), request.total.currency_code
        for item, order in zip(request.items, request.ticket_orders, strict=True):
            price = Money(item.unit_price_minor, currency)
            choice._wanted.append(
                Wanted(order.offer_id, item.description, item.description, price, order.count)
            )
        return choice

    def __bool__(self) -> bool:
        """Tell whether anything is chosen."""
        return bool(self._wanted)

    @property
    def total(self) -> Money:
        """What is to be paid; the currency is that of what was chosen first."""
        currency = self._wanted[0].price.currency
        return Money(sum(wanted.total.minor for wanted in self._wanted), currency)

    @property
    def newest(self) -> Wanted | None:
        """Give what was chosen last."""
        return self._wanted[-1] if self._wanted else None

    def add(self, offer: TicketOffer) -> Wanted:
        """Choose one more ticket of an offer; DoesNotFit."""
        others = [wanted for wanted in self._wanted if wanted.offer_id != offer.offer_id]
        before = sum(w.count for w in self._wanted if w.offer_id == offer.offer_id)
        description = f"{offer.title}, {offer.event_name}"[:_MAX_DESCRIPTION]
        price = Money.from_proto(offer.price)
        more = Wanted(offer.offer_id, offer.title, description, price, before + 1)
        self._take(others, more)
        return more

    def count_newest(self, count: int) -> Wanted | None:
        """Set how many tickets there are of what was chosen last, 0 for none; DoesNotFit.

        None if nothing is chosen.
        """
        if not self._wanted:
            return None
        *others, newest = self._wanted
        changed = replace(newest, count=count)
        self._take(others, changed)
        return changed

    def items(self) -> list[LineItem]:
        """Give a line for each offer."""
        return [
            LineItem(description=w.description, quantity=w.count, unit_price_minor=w.price.minor)
            for w in self._wanted
        ]

    def orders(self) -> list[TicketOrder]:
        """Give an order for each offer, in the same order."""
        return [TicketOrder(offer_id=w.offer_id, count=w.count) for w in self._wanted]

    def is_offered(self, offers: Sequence[TicketOffer]) -> bool:
        """Tell whether all that is chosen is on sale, for the price that was shown."""
        prices = {offer.offer_id: Money.from_proto(offer.price) for offer in offers}
        return all(prices.get(wanted.offer_id) == wanted.price for wanted in self._wanted)

    def _take(self, others: list[Wanted], last: Wanted) -> None:
        if others and others[0].price.currency != last.price.currency:
            raise DoesNotFit("Pay those first")
        wanted = [*others, last] if last.count else others
        if sum(w.count for w in wanted) > MAX_TICKETS:
            raise DoesNotFit(f"At most {MAX_TICKETS} tickets")
        if sum(w.total.minor for w in wanted) > MAX_AMOUNT:
            raise DoesNotFit("Too much for one pay")
        self._wanted = wanted
