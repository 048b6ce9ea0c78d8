"""GTFS Fares v1: fare_attributes.txt and fare_rules.txt, by route and by zones.

https://gtfs.org/documentation/schedule/reference/#fare_attributestxt. A fare without rules applies
to every ride on its agency's routes. `contains_id` zones are read as OpenTripPlanner reads them:
all of a fare's together are exactly the zones of the ride. Routes with the same zones are one rule:
who changes between them pays once, as often as `transfers` allows. How long a transfer is good for
(`transfer_duration`) is not held against anybody, because no gate sees when he changed.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import product

from edge_agents.fares.amount import read_amount
from edge_agents.fares.feed import Feed, FeedError, Row, by_id, whole_number
from edge_agents.fares.network import Network
from edge_agents.fares.ride import Offer, Ride
from edge_agents.fares.ways import Way, Ways
from kessai.money import Money

_UNLIMITED = 10**9


@dataclass(frozen=True, slots=True)
class _Rule:
    routes: frozenset[str]
    origin: str
    destination: str
    contains: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Fare:
    price: Money
    transfers: int
    agency: str


class ZoneFares:
    """The fares of a feed with Fares v1; the same for every rider, at any time."""

    def __init__(self, feed: Feed, network: Network) -> None:
        """Read the tables; FeedError, MoneyError or KeyError if they cannot be."""
        self._network = network
        rows = by_id("fare_attributes", feed.require("fare_attributes"), "fare_id")
        self._fares = {fare: _read_fare(row) for fare, row in rows.items()}
        self._rules = _read_rules(feed.rows("fare_rules"))
        for unknown in self._rules.keys() - self._fares.keys():
            raise FeedError(f'fare_rules.txt has a fare "{unknown}", fare_attributes.txt not')
        self._agencies = [row.get("agency_id", "") for row in feed.rows("agency")]
        for name, fare in self._fares.items():
            if fare.agency and fare.agency not in self._agencies:
                raise FeedError(f'agency.txt has no "{fare.agency}", fare_attributes.txt has')
            if fare.price.minor < 0:
                raise FeedError(f'the fare "{name}" costs less than zero')
        self._agency_of = self._read_routes(feed)
        self._ways = Ways(network, network.lines(str))

    @property
    def rider_categories(self) -> set[str]:
        """The categories that have a price of their own: none."""
        return set()

    @property
    def amounts(self) -> list[Money]:
        """Every price that the tables have."""
        return [fare.price for fare in self._fares.values()]

    def prices(self, product: str, rider_category: str) -> list[Money]:
        """List what a fare costs a rider of any category."""
        return [self._fares[product].price] if product in self._fares else []

    def offers(self, ride: Ride, rider_category: str) -> list[Offer]:
        """List what a ride may cost; empty if the tables have no such trip."""
        ways = self._ways.between(ride.origin, ride.destination) or self._unknown_ways(ride)
        return [
            Offer(fare.price)
            for name, fare in self._fares.items()
            if any(self._applies(name, fare, way) for way in ways)
        ]

    def _unknown_ways(self, ride: Ride) -> list[Way]:
        # No line leads there: then only rules that ask for neither routes nor zones between apply.
        ends = product(*map(self._network.platforms_of, (ride.origin, ride.destination)))
        return [Way(begin, end, frozenset(), frozenset(), 0) for begin, end in ends]

    def _applies(self, name: str, fare: _Fare, way: Way) -> bool:
        ridden = {self._agency_of.get(route, "") for route in way.routes}
        if fare.agency and (ridden or set(self._agencies)) != {fare.agency}:
            return False
        if way.changes > fare.transfers:
            return False
        rules = self._rules.get(name)
        return rules is None or any(self._fits(rule, way) for rule in rules)

    def _read_routes(self, feed: Feed) -> dict[str, str]:
        """The agency of each route; a route need not name the only one."""
        only = self._agencies[0] if len(self._agencies) == 1 else ""
        return {row["route_id"]: row.get("agency_id") or only for row in feed.rows("routes")}

    def _fits(self, rule: _Rule, way: Way) -> bool:
        is_there = bool(way.routes) and way.routes <= rule.routes
        return (
            ("" in rule.routes or is_there)
            and rule.origin in ("", self._network.zone_of(way.begin))
            and rule.destination in ("", self._network.zone_of(way.end))
            and (not rule.contains or rule.contains == way.zones)
        )


def _read_fare(row: Row) -> _Fare:
    transfers = row.get("transfers")
    limit = whole_number("fare_attributes", row, "transfers") if transfers else _UNLIMITED
    price = read_amount(row["price"], row["currency_type"])
    return _Fare(price, limit, row.get("agency_id", ""))


def _read_rules(rows: list[Row]) -> dict[str, list[_Rule]]:
    """Put rows together that are one rule: first by `contains_id`, then by route."""
    contains: dict[tuple[str, str, str, str], set[str]] = defaultdict(set)
    for row in rows:
        ends = (row.get("route_id", ""), row.get("origin_id", ""), row.get("destination_id", ""))
        contains[row["fare_id"], *ends] |= {row.get("contains_id", "")} - {""}
    routes: dict[tuple[str, str, str, frozenset[str]], set[str]] = defaultdict(set)
    for (fare, route, origin, destination), zones in contains.items():
        routes[fare, origin, destination, frozenset(zones)].add(route)
    rules: dict[str, list[_Rule]] = defaultdict(list)
    for (fare, origin, destination, within), names in routes.items():
        rules[fare].append(_Rule(frozenset(names), origin, destination, within))
    return dict(rules)
