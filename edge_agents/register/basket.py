"""What a customer is about to buy: the scanned goods, in their order, and the total.

A register fills it from the scanner; its lines become the items of the payment request.
"""

from __future__ import annotations

from collections import Counter

from edge_agents.register.price_list import Goods
from kessai.money import MAX_AMOUNT, Money
from kessai.v1.payment_pb2 import LineItem, PaymentRequest

MAX_LINES = 200
MAX_QUANTITY = 9_999


class BasketFull(Exception):
    """More does not fit into one purchase; the customer pays in two."""


class Basket:
    """The goods of one purchase, all in one currency."""

    def __init__(self, currency: str) -> None:
        self._currency = currency
        self._scans: list[Goods] = []

    @classmethod
    def of_request(cls, request: PaymentRequest) -> Basket:
        """Fill a basket again from a request that was made of one."""
        basket = cls(request.total.currency_code)
        for item in request.items:
            price = Money(item.unit_price_minor, basket._currency)
            basket._scans += [Goods(item.gtin, item.description, price)] * item.quantity
        return basket

    def __bool__(self) -> bool:
        """Tell whether there is anything in it."""
        return bool(self._scans)

    @property
    def total(self) -> Money:
        """What is to be paid."""
        return Money(sum(goods.price.minor for goods in self._scans), self._currency)

    def add(self, goods: Goods) -> None:
        """Put one more in; BasketFull if a request cannot hold it."""
        self._scans.append(goods)
        if not self._fits():
            self._scans.pop()
            raise BasketFull

    def remove_last(self) -> Goods | None:
        """Take the last one out again; None if there is none."""
        return self._scans.pop() if self._scans else None

    def items(self) -> list[LineItem]:
        """Give a line for each article, in the order of the first scan."""
        return [
            LineItem(
                gtin=goods.gtin,
                description=goods.description,
                quantity=quantity,
                unit_price_minor=goods.price.minor,
            )
            for goods, quantity in Counter(self._scans).items()
        ]

    def _fits(self) -> bool:
        items = self.items()
        return (
            len(items) <= MAX_LINES
            and max(item.quantity for item in items) <= MAX_QUANTITY
            and sum(goods.price.minor for goods in self._scans) <= MAX_AMOUNT
        )
