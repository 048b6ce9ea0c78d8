"""GTFS Fares v2: leg rules between areas, over networks and times, and the products they name.

https://gtfs.org/documentation/schedule/reference/#fare_leg_rulestxt. A ride through two gates is
one leg: where one changes, the feed's join rules must make it one. A feed without any joins all
routes of one network, because no gate lies between them. Of the rules that match, those of the
highest priority count. An area of a platform beats that of its station.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import product
from zoneinfo import ZoneInfo

from edge_agents.fares.feed import Feed, FeedError, Row, whole_number
from edge_agents.fares.joins import read_joins
from edge_agents.fares.network import Network
from edge_agents.fares.products import Products
from edge_agents.fares.ride import Offer, Ride
from edge_agents.fares.time_zone import read_zone
from edge_agents.fares.timeframes import Timeframes
from edge_agents.fares.ways import Way, Ways


@dataclass(frozen=True, slots=True)
class _Rule:
    """A leg rule; an empty area or network is every one that no other rule names."""

    group: str
    network: str
    origin: str
    destination: str
    from_timeframe: str
    to_timeframe: str
    product: str
    priority: int


class LegFares:
    """The prices of single rides of a feed with Fares v2; `zone` is the carrier's time zone."""

    def __init__(self, feed: Feed, network: Network, products: Products, zone: ZoneInfo) -> None:
        """Read the tables; FeedError or KeyError if they cannot be."""
        self._network, self._products, self._zone = network, products, zone
        rows = feed.require("fare_leg_rules")
        self._has_priority = "rule_priority" in rows[0]
        self._rules = [_read_rule(row) for row in rows]
        self._named_networks = {rule.network for rule in self._rules}
        self._named_origins = {rule.origin for rule in self._rules}
        self._named_destinations = {rule.destination for rule in self._rules}
        self._areas = _read_areas(feed)
        self._timeframes = Timeframes(feed)
        self._require_names()
        networks = _read_networks(feed)
        lines = network.lines(lambda route: networks.get(route, ""))
        self._ways = Ways(network, lines, *read_joins(feed, network))

    @property
    def groups(self) -> set[str]:
        """The leg_group_ids, by which transfers are priced."""
        return {rule.group for rule in self._rules} - {""}

    @property
    def products(self) -> set[str]:
        """The products of the rules."""
        return {rule.product for rule in self._rules}

    def offers(self, ride: Ride, rider_category: str) -> list[Offer]:
        """List what a ride may cost a rider; empty if the tables have no such trip."""
        ways = self._ways.between(ride.origin, ride.destination) or self._unknown_ways(ride)
        offers = {
            Offer(price, rule.group): None
            for way in ways
            for rule in self._matching(ride, way)
            for price in self._products.prices(rule.product, rider_category)
        }
        return list(offers)

    def _unknown_ways(self, ride: Ride) -> list[Way]:
        # No line leads there: then only rules that ask for no network apply.
        ends = product(*map(self._network.platforms_of, (ride.origin, ride.destination)))
        return [Way(begin, end, frozenset(), frozenset(), 0) for begin, end in ends]

    def _matching(self, ride: Ride, way: Way) -> list[_Rule]:
        networks = set(way.routes) - {""}
        start, stop = self._zone_at(ride.origin), self._zone_at(ride.destination)
        begin, end = self._areas_of(way.begin), self._areas_of(way.end)
        matching = [
            rule
            for rule in self._rules
            if self._fits(rule.origin, begin, self._named_origins)
            and self._fits(rule.destination, end, self._named_destinations)
            and self._fits_network(rule.network, networks)
            and self._timeframes.holds(rule.from_timeframe, ride.entry_us, start)
            and self._timeframes.holds(rule.to_timeframe, ride.exit_us, stop)
        ]
        first = max((rule.priority for rule in matching), default=0)
        return [rule for rule in matching if rule.priority == first]

    def _fits(self, wanted: str, there: set[str], named: set[str]) -> bool:
        """Match a rule's area or network; empty means every one that no other rule names.

        With priorities, empty means every one at all.
        """
        return wanted in there if wanted else self._has_priority or not there & named

    def _fits_network(self, wanted: str, ridden: set[str]) -> bool:
        # A leg that joins several networks is of none of them.
        is_other = bool(wanted) and len(ridden) > 1
        return not is_other and self._fits(wanted, ridden, self._named_networks)

    def _areas_of(self, platform: str) -> set[str]:
        """The areas of a platform; those of its station if it has none of its own."""
        stop = self._network.own_or_above(platform, lambda name: name * (name in self._areas))
        return self._areas.get(stop, set())

    def _zone_at(self, stop_id: str) -> ZoneInfo:
        name = self._network.time_zone_of(stop_id)
        return read_zone(name) if name else self._zone

    def _require_names(self) -> None:
        for name in self.products - self._products.names:
            raise FeedError(f'fare_leg_rules.txt has a product "{name}", fare_products.txt not')
        named = {rule.from_timeframe for rule in self._rules}
        named |= {rule.to_timeframe for rule in self._rules}
        for name in named - self._timeframes.groups - {""}:
            raise FeedError(f'fare_leg_rules.txt has a timeframe "{name}", timeframes.txt not')


def _read_areas(feed: Feed) -> dict[str, set[str]]:
    areas: defaultdict[str, set[str]] = defaultdict(set)
    for row in feed.rows("stop_areas"):
        areas[row["stop_id"]].add(row["area_id"])
    return dict(areas)


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
        row.get("leg_group_id", ""),
        row.get("network_id", ""),
        row.get("from_area_id", ""),
        row.get("to_area_id", ""),
        row.get("from_timeframe_group_id", ""),
        row.get("to_timeframe_group_id", ""),
        row["fare_product_id"],
        priority,
    )
