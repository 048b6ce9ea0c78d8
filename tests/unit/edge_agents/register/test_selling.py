"""What a scan sells: pieces, goods by weight, and what is refused, never one piece instead."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from edge_agents.register.bar_code import read_code
from edge_agents.register.price_list import Goods, PriceList
from edge_agents.register.selling import NotSold, goods_of
from kessai.money import Money

APPLES, CHEESE, BREAD = "99506000134355", "99506000134362", "09506000134352"
EAN_8, UPC_E = "00000001234565", "00012345000065"


def goods(gtin: str, price: int, per: str = "", currency: str = "EUR") -> Goods:
    return Goods(gtin, "Thing", Money(price, currency), per)


LISTED = [goods(APPLES, 299, "kg"), goods(CHEESE, 1099, "lb"), goods(BREAD, 349)]


def listed(*articles: Goods, currency: str = "EUR") -> PriceList:
    found: Mapping[str, Goods] = {article.gtin: article for article in articles}
    return PriceList(currency, found)


def sold(text: str, prices: PriceList) -> Goods:
    scan = read_code(text)
    assert scan is not None
    return goods_of(scan, prices)


@pytest.mark.parametrize(
    ("text", "minor", "description"),
    [
        (BREAD, 349, "Thing"),
        (f"01{APPLES}3103001250", 374, "Thing 1.250 kg x 2.99"),  # 373.75 cents
        (f"01{APPLES}3103000500", 150, "Thing 0.500 kg x 2.99"),  # 149.5: half is rounded up
        (f"01{APPLES}3100000002", 598, "Thing 2 kg x 2.99"),
        (f"01{CHEESE}3202000050", 550, "Thing 0.50 lb x 10.99"),
        (f"01{APPLES}3922412", 412, "Thing (price on label)"),
        (f"01{APPLES}39214", 40, "Thing (price on label)"),
        (f"01{APPLES}31030012503922374", 374, "Thing 1.250 kg"),
        (f"01{APPLES}39329780412", 412, "Thing (price on label)"),
        (f"HTTPS://ID.GS1.ORG/01/{APPLES}/?3103=001250", 374, "Thing 1.250 kg x 2.99"),
    ],
)
def test_what_is_paid(text: str, minor: int, description: str) -> None:
    article = sold(text, listed(*LISTED))
    assert (article.price, article.description) == (Money(minor, "EUR"), description)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"https://id.gs1.org/01/{APPLES}?3100={'9' * 300}", "Not sold by weight"),
        (f"https://id.gs1.org/01/{BREAD}?3103=250", "No price by weight"),
        (f"https://id.gs1.org/01/{APPLES}?3920={'9' * 300}", "It costs too much"),
        (APPLES, "Weight is missing"),
        (f"01{APPLES}", "Weight is missing"),
        (f"01{APPLES}3202000275", "Weighed in lb"),
        (f"01{CHEESE}3103001250", "Weighed in kg"),
        (f"01{BREAD}3103001250", "No price by weight"),
        (f"01{BREAD}3922374", "No price by weight"),
        (f"01{APPLES}3012", "Not sold by weight"),
        (f"01{APPLES}3103000000", "It costs nothing"),
        (f"01{APPLES}3923001", "Price has a fraction"),
        (f"01{APPLES}39328400412", "In another currency"),
        ("4006381333931", "Unknown goods"),
        ("99506000134409", "Unknown goods"),
    ],
)
def test_what_is_refused_in_words(text: str, says: str) -> None:
    """And never sold as one piece at the price of the list. It fits a line of the display."""
    with pytest.raises(NotSold, match=f"^{says}$"):
        sold(text, listed(*LISTED))
    assert len(says) <= 20


def test_eight_digits_of_two_goods() -> None:
    """The price list says which is meant; if it has both, the cashier is asked for another code."""
    ean_8, upc_e = goods(EAN_8, 100), goods(UPC_E, 200)
    assert sold("01234565", listed(ean_8)) == ean_8
    assert sold("01234565", listed(upc_e)) == upc_e
    with pytest.raises(NotSold, match="Code of two goods"):
        sold("01234565", listed(ean_8, upc_e))
    assert sold("012345000065", listed(ean_8, upc_e)) == upc_e


def test_a_label_s_price_in_a_currency_without_decimals() -> None:
    """A label may have decimals all the same, if they are zeros."""
    prices = listed(goods(APPLES, 299, "kg", "JPY"), currency="JPY")
    assert sold(f"01{APPLES}392241200", prices).price == Money(412, "JPY")
    with pytest.raises(NotSold, match="fraction"):
        sold(f"01{APPLES}392241250", prices)


def test_a_long_name_leaves_room_for_the_weight() -> None:
    """A line of a request has at most 60 characters."""
    article = Goods(APPLES, "x" * 60, Money(299, "EUR"), "kg")
    assert sold(f"01{APPLES}3103001250", listed(article)).description.endswith(" 1.250 kg x 2.99")
    assert len(sold(f"01{APPLES}3103001250", listed(article)).description) == 60
