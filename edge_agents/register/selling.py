"""What a scan sells: the article of the price list, at the price of its piece or of its weight.

An article with a price by weight is sold by its label's measure only, one with a price of a piece
never by a measure: a label of 250 g is no whole cheese.
"""

from __future__ import annotations

from dataclasses import replace

from edge_agents.register.bar_code import Scan
from edge_agents.register.measure import Measure, MeasureRefused, amount_of
from edge_agents.register.price_list import MAX_DESCRIPTION, Goods, PriceList


class NotSold(Exception):
    """Nothing of the price list is meant, or not so; the message fits a line of the display."""

    def __init__(self, event: str, text: str, gtin: str) -> None:
        super().__init__(text)
        self.event, self.gtin = event, gtin


def goods_of(scan: Scan, prices: PriceList) -> Goods:
    """What a scan sells; NotSold with the reason in words."""
    listed = [prices.goods[gtin] for gtin in scan.gtins if gtin in prices.goods]
    if not listed:
        raise NotSold("goods_unknown", "Unknown goods", scan.gtins[0])
    if len(listed) > 1:
        raise NotSold("goods_refused", "Code of two goods", scan.gtins[0])
    article = listed[0]
    if not article.per and scan.measure is None:
        return article
    try:
        return _measured(article, scan.measure)
    except MeasureRefused as refused:
        raise NotSold("goods_refused", str(refused), article.gtin) from None


def _measured(article: Goods, measure: Measure | None) -> Goods:
    if not article.per:
        raise MeasureRefused("No price by weight")
    measure = measure or Measure()
    price = amount_of(measure, article.price, article.per)
    if measure.weight is None:
        said = " (price on label)"
    else:
        said = f" {measure.weight} {article.per}"
        if measure.price is None:
            said += f" x {article.price.decimal()}"
    description = article.description[: MAX_DESCRIPTION - len(said)].rstrip() + said
    return replace(article, description=description, price=price, per="")
