"""GTFS Fares v1: fare_attributes.txt and fare_rules.txt, by route and by zones.

https://gtfs.org/documentation/schedule/reference/#fare_attributestxt. A fare without rules applies
to every ride. `contains_id` zones are read as OpenTripPlanner reads them: all of a fare's together
are exactly the zones of the ride. Of the fares that apply the cheapest is the ride's. Used by
`tariff`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from edge_agents.fares.feed import Feed, FeedError, Row, by_id
from edge_agents.fares.network import Network, Way
from kessai.money import Money


@dataclass(frozen=True, slots=True)
class _Rule:
    route: str
    origin: str
    destination: str
    contains: frozenset[str]


class ZoneFares:
    """The fares of a feed with Fares v1; the same for every rider."""

    def __init__(self, feed: Feed, network: Network, money: Callable[[str, str], Money]) -> None:
        """Read the tables; `money` reads an amount and its currency."""
        self._network = network
        self._prices = {
            fare: money(row["price"], row["currency_type"])
            for fare, row in by_id(
                "fare_attributes", feed.require("fare_attributes"), "fare_id"
            ).items()
        }
        self._rules = _read_rules(feed.rows("fare_rules"))
        for fare in self._rules.keys() - self._prices.keys():
            raise FeedError(f'fare_rules.txt has a fare "{fare}", fare_attributes.txt not')

    @property
    def rider_categories(self) -> set[str]:
        """The categories that have a price of their own: none."""
        return set()

    @property
    def amounts(self) -> list[Money]:
        """Every amount that the tables have."""
        return list(self._prices.values())

    def offers(self, origin: str, destination: str, rider_category: str) -> list[Money]:
        """List what a ride may cost; empty if the tables have no such trip."""
        # A ride with a change has no single way: then only rules that ask for none apply.
        ways = self._network.ways(origin, destination) or [Way("", frozenset())]
        return [
            price
            for fare, price in self._prices.items()
            if any(self._applies(fare, origin, destination, way) for way in ways)
        ]

    def _applies(self, fare: str, origin: str, destination: str, way: Way) -> bool:
        rules = self._rules.get(fare)
        if rules is None:
            return True
        begin = self._network.stations[origin].zone
        end = self._network.stations[destination].zone
        return any(
            rule.route in ("", way.route)
            and rule.origin in ("", begin)
            and rule.destination in ("", end)
            and (not rule.contains or rule.contains == way.zones)
            for rule in rules
        )


def _read_rules(rows: list[Row]) -> dict[str, list[_Rule]]:
    """Put the rows that differ only in `contains_id` together: they are one rule."""
    contains: dict[tuple[str, str, str, str], set[str]] = defaultdict(set)
    for row in rows:
        ends = (row.get("route_id", ""), row.get("origin_id", ""), row.get("destination_id", ""))
        contains[row["fare_id"], *ends] |= {row.get("contains_id", "")} - {""}
    rules: dict[str, list[_Rule]] = defaultdict(list)
    for (fare, route, origin, destination), zones in contains.items():
        rules[fare].append(_Rule(route, origin, destination, frozenset(zones)))
    return dict(rules)
