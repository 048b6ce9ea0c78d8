"""Stations and platforms, and the lines between them, as a GTFS feed has them.

Gates stand at stations; vehicles, areas and zones are at platforms. A stop that belongs to none is
a station with itself as its platform.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from edge_agents.fares.feed import Feed, FeedError, Row, by_id, whole_number
from edge_agents.fares.time_zone import read_zone

# Values of location_type that are no place of a vehicle: entrances and nodes of a station's map.
_NO_PLATFORM = ("2", "3")


@dataclass(frozen=True, slots=True)
class Station:
    """A stop that a gate may stand at: its stop_id and name, and its own zone_id and time zone."""

    id: str
    name: str
    zone: str
    time_zone: str


@dataclass(frozen=True, slots=True)
class Line:
    """A route, or another name that stands for it, and the platforms in the order of a trip."""

    route: str
    platforms: tuple[str, ...]


class Network:
    """The stations of a feed by id, their platforms, and the lines between them."""

    def __init__(self, feed: Feed) -> None:
        """Read stops, trips and stop times; Complaint if there are no stops, FeedError if wrong."""
        stops = by_id("stops", feed.require("stops"), "stop_id")
        self._parents = {name: stop.get("parent_station", "") for name, stop in stops.items()}
        for parent in self._parents.values():
            if parent and parent not in stops:
                raise FeedError(f'stops.txt has no stop "{parent}", but a parent_station says so')
        for name in stops:
            self._require_an_end(name)
        self.stations = {name: _station(stop) for name, stop in stops.items()}
        self._platforms: defaultdict[str, list[str]] = defaultdict(list)
        for name, stop in stops.items():
            if stop.get("location_type", "") not in _NO_PLATFORM and self._parents[name]:
                self._platforms[self.station_of(name)].append(name)
        self._zones = {
            name: self.own_or_above(name, lambda stop: self.stations[stop].zone) for name in stops
        }
        self._lines = self._read_lines(feed)

    def station_of(self, stop_id: str) -> str:
        """Name the station that a platform belongs to; a station is its own."""
        while self._parents.get(stop_id):
            stop_id = self._parents[stop_id]
        return stop_id

    def is_within(self, stop_id: str, whole: str) -> bool:
        """Whether a stop is another one, or belongs to it."""
        while stop_id and stop_id != whole:
            stop_id = self._parents[stop_id]
        return bool(stop_id)

    def platforms_of(self, stop_id: str) -> list[str]:
        """List the platforms of the station that a stop belongs to; itself if it has none."""
        station = self.station_of(stop_id)
        return self._platforms.get(station) or [station]

    def own_or_above(self, stop_id: str, own: Callable[[str], str]) -> str:
        """What a stop has of its own, or else the nearest of its parents; "" if none has any."""
        while stop_id and not own(stop_id):
            stop_id = self._parents.get(stop_id, "")
        return own(stop_id) if stop_id else ""

    def zone_of(self, stop_id: str) -> str:
        """Name the fare zone of a platform, or of its station if it has none of its own."""
        return self._zones[stop_id]

    def time_zone_of(self, stop_id: str) -> str:
        """Name the time zone of a stop: its station's, which counts before its own; "" if none."""
        station = self.stations[self.station_of(stop_id)].time_zone
        return station or self.stations[stop_id].time_zone

    def lines(self, name_of: Callable[[str], str]) -> list[Line]:
        """List the lines, each once, with `name_of` in place of their routes."""
        lines = (Line(name_of(line.route), line.platforms) for line in self._lines)
        return list(dict.fromkeys(lines))

    def _require_an_end(self, stop_id: str) -> None:
        seen: set[str] = set()
        while stop_id and stop_id not in seen:
            seen.add(stop_id)
            stop_id = self._parents[stop_id]
        if stop_id:
            raise FeedError(f'the parent_station of "{stop_id}" in stops.txt leads back to it')

    def _read_lines(self, feed: Feed) -> list[Line]:
        trips = by_id("trips", feed.rows("trips"), "trip_id")
        routes = {name: trip["route_id"] for name, trip in trips.items()}
        calls: dict[str, list[tuple[int, str]]] = defaultdict(list)
        for row in feed.rows("stop_times"):
            if row.get("stop_id"):
                if row["stop_id"] not in self.stations:
                    raise FeedError(f'stop_times.txt has a stop "{row["stop_id"]}", stops.txt not')
                sequence = whole_number("stop_times", row, "stop_sequence")
                calls[row["trip_id"]].append((sequence, row["stop_id"]))
        lines = (
            Line(routes.get(trip, ""), tuple(stop for _, stop in sorted(stops)))
            for trip, stops in calls.items()
        )
        return list(dict.fromkeys(lines))


def _station(stop: Row) -> Station:
    zone, time_zone = stop.get("zone_id", ""), stop.get("stop_timezone", "")
    if time_zone:
        read_zone(time_zone)
    return Station(stop["stop_id"], stop.get("stop_name", ""), zone, time_zone)
