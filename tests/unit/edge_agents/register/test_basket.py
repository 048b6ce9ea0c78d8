"""The basket: lines, total, and its limits."""

from __future__ import annotations

import pytest

from edge_agents.register.basket import MAX_LINES, MAX_QUANTITY, Basket, BasketFull
from edge_agents.register.price_list import Goods
from kessai.envelope import MAX_PAYLOAD_BYTES
from kessai.money import MAX_AMOUNT, Money
from kessai.v1.payment_pb2 import PaymentRequest
from tests.unit.edge_agents.parties import make_pending

BREAD = Goods("09506000134352", "Rye bread 1 kg", Money(349, "EUR"))
MILK = Goods("09506000134369", "Whole milk 1 l", Money(129, "EUR"))


def goods(number: int, description: str = "Thing", minor: int = 1) -> Goods:
    return Goods(f"{number:014d}", description, Money(minor, "EUR"))


def test_the_same_goods_make_one_line() -> None:
    basket = Basket("EUR")
    for article in (BREAD, MILK, BREAD):
        basket.add(article)
    assert basket.total == Money(827, "EUR")
    assert [(i.gtin, i.quantity, i.unit_price_minor) for i in basket.items()] == [
        (BREAD.gtin, 2, 349),
        (MILK.gtin, 1, 129),
    ]


def test_the_last_one_can_be_taken_out() -> None:
    basket = Basket("EUR")
    assert basket.remove_last() is None
    basket.add(BREAD)
    basket.add(MILK)
    assert basket.remove_last() == MILK
    assert basket.total == BREAD.price
    assert basket.remove_last() == BREAD
    assert not basket


def test_more_lines_than_a_request_holds_are_refused() -> None:
    basket = Basket("EUR")
    for number in range(MAX_LINES):
        basket.add(goods(number))
    with pytest.raises(BasketFull):
        basket.add(goods(MAX_LINES))
    assert len(basket.items()) == MAX_LINES


def test_long_descriptions_do_not_fill_it_earlier() -> None:
    """All lines of the longest texts fit into a request."""
    basket = Basket("EUR")
    for number in range(MAX_LINES):
        basket.add(goods(number, "\U0001f950" * 60, MAX_AMOUNT // MAX_LINES))
    request = PaymentRequest(items=basket.items(), order_id="\U0001f950" * 40)
    assert request.ByteSize() < MAX_PAYLOAD_BYTES - 1024


def test_a_quantity_has_a_limit() -> None:
    basket = Basket("EUR")
    basket._scans += [BREAD] * MAX_QUANTITY
    with pytest.raises(BasketFull):
        basket.add(BREAD)


def test_a_total_fits_into_64_bits() -> None:
    basket = Basket("EUR")
    basket.add(goods(1, minor=MAX_AMOUNT))
    with pytest.raises(BasketFull):
        basket.add(goods(2))
    assert basket.total.minor == MAX_AMOUNT


def test_a_basket_comes_back_from_its_request() -> None:
    pending = make_pending(minor=434)
    basket = Basket.of_request(pending.request)
    assert basket.total == pending.total
    assert list(basket.items()) == list(pending.request.items)
