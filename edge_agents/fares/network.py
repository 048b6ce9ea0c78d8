"""Stations, and the ways between them, as a GTFS feed has them.

A gate knows where somebody entered and where he leaves, not which way he went. So a ride has all
the ways that a vehicle of the feed takes from one station to the other without a change; a fare
applies if it applies to one of them. Used by `zone_fares` and `leg_fares`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from edge_agents.fares.feed import Feed, FeedError, Row, by_id, whole_number


@dataclass(frozen=True, slots=True)
class Station:
    """A stop that a gate may stand at: its stop_id, name, and fare zone ("" if it has none)."""

    id: str
    name: str
    zone: str


@dataclass(frozen=True, slots=True)
class Way:
    """A way between two stations: the route, and the zones on it, both ends included."""

    route: str
    zones: frozenset[str]


class Network:
    """The stations of a feed by id, and the ways between them. A platform counts as its station."""

    def __init__(self, feed: Feed) -> None:
        """Read stops, trips and stop times; Complaint if there are no stops, FeedError if wrong."""
        stops = by_id("stops", feed.require("stops"), "stop_id")
        self._parents = {name: stop.get("parent_station", "") for name, stop in stops.items()}
        for parent in self._parents.values():
            if parent and parent not in stops:
                raise FeedError(f'stops.txt has no stop "{parent}", but a parent_station says so')
        self.stations = {name: _station(stop) for name, stop in stops.items()}
        self._lines = self._read_lines(feed)

    def station_of(self, stop_id: str) -> str:
        """Name the station that a platform belongs to; a station is its own."""
        return self._parents.get(stop_id) or stop_id

    def ways(self, origin: str, destination: str) -> list[Way]:
        """List the ways from one station to another without a change; none if there is none."""
        origin, destination = self.station_of(origin), self.station_of(destination)
        found: dict[Way, None] = {}
        for route, stops in self._lines:
            for begin, stop in enumerate(stops):
                if stop == origin and destination in stops[begin + 1 :]:
                    end = stops.index(destination, begin + 1)
                    zones = (self.stations[s].zone for s in stops[begin : end + 1])
                    found[Way(route, frozenset(zones))] = None
        return list(found)

    def _read_lines(self, feed: Feed) -> Iterable[tuple[str, tuple[str, ...]]]:
        trips = by_id("trips", feed.rows("trips"), "trip_id")
        routes = {name: trip["route_id"] for name, trip in trips.items()}
        calls: dict[str, list[tuple[int, str]]] = defaultdict(list)
        for row in feed.rows("stop_times"):
            if row.get("stop_id"):
                if row["stop_id"] not in self.stations:
                    raise FeedError(f'stop_times.txt has a stop "{row["stop_id"]}", stops.txt not')
                sequence = whole_number("stop_times", row, "stop_sequence")
                calls[row["trip_id"]].append((sequence, self.station_of(row["stop_id"])))
        lines = (
            (routes.get(trip, ""), tuple(stop for _, stop in sorted(stops)))
            for trip, stops in calls.items()
        )
        return list(dict.fromkeys(lines))


def _station(stop: Row) -> Station:
    return Station(stop["stop_id"], stop.get("stop_name", ""), stop.get("zone_id", ""))
