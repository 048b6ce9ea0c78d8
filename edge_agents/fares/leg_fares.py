"""GTFS Fares v2: leg rules between areas, and the products that they name.

https://gtfs.org/documentation/schedule/reference/#fare_leg_rulestxt. A ride through two gates is
one leg. Of the rules that match, those of the highest priority count, and of their products the
cheapest. A rider whose category has no product of its own pays that of the default category, since
a reduction is an offer. Rules by time of day are refused when the feed is read. Used by `tariff`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from edge_agents.fares.feed import Feed, FeedError, Row, whole_number
from edge_agents.fares.network import Network
from kessai.complaint import Complaint
from kessai.money import Money


@dataclass(frozen=True, slots=True)
class _Rule:
    """A leg rule; an empty area or network is every one that no other rule names."""

    network: str
    origin: str
    destination: str
    product: str
    priority: int


@dataclass(frozen=True, slots=True)
class _Product:
    price: Money
    rider_category: str


class LegFares:
    """The fares of a feed with Fares v2. `media` are the fare_media_ids sold; empty: all."""

    def __init__(
        self,
        feed: Feed,
        network: Network,
        money: Callable[[str, str], Money],
        media: frozenset[str],
    ) -> None:
        """Read the tables; Complaint for rules by time of day. `money` reads an amount."""
        self._network, self._media = network, media
        rows = feed.require("fare_leg_rules")
        if any(row.get(f"{end}_timeframe_group_id") for row in rows for end in ("from", "to")):
            raise Complaint(
                f"The feed {feed.path} prices by time of day (timeframes.txt), which this gate "
                "cannot. No fare was charged: take a feed without."
            )
        self._has_priority = "rule_priority" in rows[0]
        self._rules = [_read_rule(row) for row in rows]
        self._named_networks = {rule.network for rule in self._rules}
        self._named_origins = {rule.origin for rule in self._rules}
        self._named_destinations = {rule.destination for rule in self._rules}
        self._areas = self._read_areas(feed)
        self._networks = _read_networks(feed)
        self._products = self._read_products(feed, money)
        self._defaults = {
            row["rider_category_id"]
            for row in feed.rows("rider_categories")
            if row.get("is_default_fare_category") == "1"
        }

    @property
    def rider_categories(self) -> set[str]:
        """The categories that have a price of their own."""
        return {row.rider_category for rows in self._products.values() for row in rows}

    @property
    def amounts(self) -> list[Money]:
        """Every amount that the tables have."""
        return [product.price for rows in self._products.values() for product in rows]

    def offers(self, origin: str, destination: str, rider_category: str) -> list[Money]:
        """List what a ride may cost a rider; empty if the tables have no such trip."""
        network = self._network
        routes = {way.route for way in network.ways(origin, destination)}
        networks = {self._networks.get(route, "") for route in routes} - {""}
        begin = self._areas[network.station_of(origin)]
        end = self._areas[network.station_of(destination)]
        matching = [
            rule
            for rule in self._rules
            if self._fits(rule.origin, begin, self._named_origins)
            and self._fits(rule.destination, end, self._named_destinations)
            and self._fits(rule.network, networks, self._named_networks)
        ]
        first = max((rule.priority for rule in matching), default=0)
        products = [rule.product for rule in matching if rule.priority == first]
        return [price for name in products for price in self._prices(name, rider_category)]

    def _fits(self, wanted: str, there: set[str], named: set[str]) -> bool:
        """Match a rule's area or network; empty means every one that no other rule names.

        With priorities, empty means every one at all.
        """
        return wanted in there if wanted else self._has_priority or not there & named

    def _prices(self, product: str, rider_category: str) -> list[Money]:
        rows = self._products.get(product, [])
        own = [row.price for row in rows if row.rider_category in ("", rider_category)]
        return own or [row.price for row in rows if row.rider_category in self._defaults]

    def _read_areas(self, feed: Feed) -> defaultdict[str, set[str]]:
        areas: defaultdict[str, set[str]] = defaultdict(set)
        for row in feed.rows("stop_areas"):
            areas[self._network.station_of(row["stop_id"])].add(row["area_id"])
        return areas

    def _read_products(
        self, feed: Feed, money: Callable[[str, str], Money]
    ) -> dict[str, list[_Product]]:
        products: dict[str, list[_Product]] = defaultdict(list)
        rows = feed.require("fare_products")
        for name in {rule.product for rule in self._rules} - {
            row["fare_product_id"] for row in rows
        }:
            raise FeedError(f'fare_leg_rules.txt has a product "{name}", fare_products.txt not')
        for row in rows:
            if not self._media or row.get("fare_media_id", "") in self._media | {""}:
                price = money(row["amount"], row["currency"])
                products[row["fare_product_id"]].append(
                    _Product(price, row.get("rider_category_id", ""))
                )
        return products


def _read_networks(feed: Feed) -> dict[str, str]:
    networks = {row["route_id"]: row.get("network_id", "") for row in feed.rows("routes")}
    return networks | {row["route_id"]: row["network_id"] for row in feed.rows("route_networks")}


def _read_rule(row: Row) -> _Rule:
    if not row["fare_product_id"]:
        raise FeedError("a row of fare_leg_rules.txt has no fare_product_id")
    priority = (
        whole_number("fare_leg_rules", row, "rule_priority") if row.get("rule_priority") else 0
    )
    return _Rule(
        row.get("network_id", ""),
        row.get("from_area_id", ""),
        row.get("to_area_id", ""),
        row["fare_product_id"],
        priority,
    )
