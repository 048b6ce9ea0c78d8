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

from edge_agents.fares.feed import Feed, Row
from edge_agents.fares.network import Network
from kessai.complaint import Complaint
from kessai.money import Money


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
        self._rules = feed.require("fare_leg_rules")
        if any(row.get("from_timeframe_group_id") for row in self._rules):
            raise Complaint(
                f"The feed {feed.path} prices by time of day (timeframes.txt), which this gate "
                "cannot. No fare was charged: take a feed without."
            )
        self._has_priority = "rule_priority" in self._rules[0]
        self._areas = self._read_areas(feed)
        self._networks = _read_networks(feed)
        self._products = self._read_products(feed, money)
        self._defaults = {
            row["rider_category_id"]
            for row in feed.rows("rider_categories")
            if row.get("is_default_fare_category") == "1"
        }

    @property
    def amounts(self) -> list[Money]:
        """Every amount that the tables have."""
        return [product.price for rows in self._products.values() for product in rows]

    def offers(self, origin: str, destination: str, rider_category: str) -> list[Money]:
        """List what a ride may cost a rider; empty if the tables have no such trip."""
        routes = {way.route for way in self._network.ways(origin, destination)}
        networks = {self._networks.get(route, "") for route in routes} - {""}
        matching = [
            rule
            for rule in self._rules
            if self._fits(rule, "from_area_id", self._areas[self._network.station_of(origin)])
            and self._fits(rule, "to_area_id", self._areas[self._network.station_of(destination)])
            and self._fits(rule, "network_id", networks)
        ]
        first = max((_priority(rule) for rule in matching), default=0)
        products = [rule["fare_product_id"] for rule in matching if _priority(rule) == first]
        return [price for name in products for price in self._prices(name, rider_category)]

    def _fits(self, rule: Row, field: str, there: set[str]) -> bool:
        """Match a rule's area or network; empty means every one that no other rule names.

        With priorities, empty means every one at all.
        """
        wanted = rule.get(field, "")
        if wanted:
            return wanted in there
        return self._has_priority or not there & {row.get(field, "") for row in self._rules}

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
        for row in feed.require("fare_products"):
            if not self._media or row.get("fare_media_id", "") in self._media | {""}:
                price = money(row["amount"], row["currency"])
                products[row["fare_product_id"]].append(
                    _Product(price, row.get("rider_category_id", ""))
                )
        return products


def _read_networks(feed: Feed) -> dict[str, str]:
    networks = {row["route_id"]: row.get("network_id", "") for row in feed.rows("routes")}
    return networks | {row["route_id"]: row["network_id"] for row in feed.rows("route_networks")}


def _priority(rule: Row) -> int:
    return int(rule.get("rule_priority") or 0)
