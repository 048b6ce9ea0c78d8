"""Fare products of Fares v2: what a product costs a rider, by his category and the media sold.

https://gtfs.org/documentation/schedule/reference/#fare_productstxt. A rider pays the price of his
category, or one that is for every category. A product without either costs him what it costs the
default category, since a reduction is an offer; so does a category that the feed does not know.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from edge_agents.fares.amount import read_amount
from edge_agents.fares.feed import Feed
from kessai.money import Money


@dataclass(frozen=True, slots=True)
class _Price:
    price: Money
    rider_category: str


class Products:
    """The products of a feed. `media` are the fare_media_ids sold; empty: all."""

    def __init__(self, feed: Feed, media: frozenset[str]) -> None:
        """Read products and rider categories; MoneyError or KeyError if they cannot be."""
        self._prices: dict[str, list[_Price]] = defaultdict(list)
        self.names: set[str] = set()
        for row in feed.require("fare_products"):
            self.names.add(row["fare_product_id"])
            if not media or row.get("fare_media_id", "") in media | {""}:
                price = read_amount(row["amount"], row["currency"])
                category = row.get("rider_category_id", "")
                self._prices[row["fare_product_id"]].append(_Price(price, category))
        rows = feed.rows("rider_categories")
        self._defaults = {
            row["rider_category_id"] for row in rows if row.get("is_default_fare_category") == "1"
        }
        self._known = {row["rider_category_id"] for row in rows} | self.rider_categories

    @property
    def rider_categories(self) -> set[str]:
        """The categories that have a price of their own."""
        return {row.rider_category for rows in self._prices.values() for row in rows} - {""}

    @property
    def amounts(self) -> list[Money]:
        """Every price that is sold."""
        return [row.price for rows in self._prices.values() for row in rows]

    def amounts_of(self, product: str) -> list[Money]:
        """Every price of a product that is sold."""
        return [row.price for row in self._prices.get(product, [])]

    def prices(self, product: str, rider_category: str) -> list[Money]:
        """List what a product may cost a rider; empty if it is not for him, or not sold here."""
        rows = self._prices.get(product, [])
        wanted = {rider_category} if rider_category in self._known else self._defaults
        own = [row.price for row in rows if row.rider_category in wanted | {""}]
        return own or [row.price for row in rows if row.rider_category in self._defaults]
