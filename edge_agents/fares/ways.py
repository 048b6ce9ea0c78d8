"""The ways between two stations: which platforms, routes and zones a ride may have used.

A gate knows where somebody entered and where he leaves, not which way he went. He is taken to have
gone with the fewest changes that are possible; a fare applies if it applies to one of these ways.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from edge_agents.fares.network import Line, Network

# Whether somebody may change: from a route, at a platform, to a route, at a platform.
MayChange = Callable[[str, str, str, str], bool]


@dataclass(frozen=True, slots=True)
class Way:
    """The platforms at both ends, the routes and zones on the way, and how often one changes."""

    begin: str
    end: str
    routes: frozenset[str]
    zones: frozenset[str]
    changes: int


@dataclass(frozen=True, slots=True)
class _Ridden:
    """A way so far, and the route and platform that it has come to."""

    begin: str
    at: str
    route: str
    routes: frozenset[str]
    zones: frozenset[str]


class Ways:
    """Finds the ways over some lines; what was found is kept.

    Without `may_change` everybody may change wherever two lines meet. `elsewhere` names the
    stations to which one may also change, by the station that one is at.
    """

    def __init__(
        self,
        network: Network,
        lines: list[Line],
        may_change: MayChange | None = None,
        elsewhere: dict[str, set[str]] | None = None,
    ) -> None:
        self._network, self._may_change = network, may_change
        self._elsewhere = elsewhere or {}
        self._calls: defaultdict[str, list[tuple[Line, int]]] = defaultdict(list)
        for line in lines:
            for place, platform in enumerate(line.platforms):
                self._calls[network.station_of(platform)].append((line, place))
        self._found: dict[tuple[str, str], list[Way]] = {}

    def between(self, origin: str, destination: str) -> list[Way]:
        """List the ways with the fewest changes; none if the lines do not lead there."""
        ends = self._network.station_of(origin), self._network.station_of(destination)
        if ends not in self._found:
            self._found[ends] = self._find(*ends)
        return self._found[ends]

    def _find(self, origin: str, destination: str) -> list[Way]:
        ridden = {
            on
            for line, place in self._calls[origin]
            for on in self._ride(line, place, line.platforms[place], frozenset(), frozenset())
        }
        seen: set[tuple[str, str]] = set()
        where = self._where
        changes = 0
        while ridden:
            there = [on for on in ridden if self._network.station_of(on.at) == destination]
            if there:
                ways = (Way(on.begin, on.at, on.routes, on.zones, changes) for on in there)
                return list(dict.fromkeys(ways))
            seen |= {where(on) for on in ridden}
            # Where one came with fewer changes no way with the fewest comes again.
            ridden = {on for on in self._change(ridden) if where(on) not in seen}
            changes += 1
        return []

    def _where(self, on: _Ridden) -> tuple[str, str]:
        """Where somebody is, as far as it matters for going on."""
        if self._may_change is None:
            return self._network.station_of(on.at), ""
        return on.at, on.route

    def _change(self, ridden: set[_Ridden]) -> Iterator[_Ridden]:
        for on in ridden:
            station = self._network.station_of(on.at)
            for place in {station} | self._elsewhere.get(station, set()):
                for line, index in self._calls[place]:
                    change = (on.route, on.at, line.route, line.platforms[index])
                    if self._may_change is None or self._may_change(*change):
                        yield from self._ride(line, index, on.begin, on.routes, on.zones)

    def _ride(
        self,
        line: Line,
        place: int,
        begin: str,
        routes: frozenset[str],
        zones: frozenset[str],
    ) -> Iterator[_Ridden]:
        """The ways that go on with a line, from the place in it where somebody gets on."""
        routes |= {line.route}
        zones |= {self._network.zone_of(line.platforms[place])} - {""}
        for platform in line.platforms[place + 1 :]:
            zones |= {self._network.zone_of(platform)} - {""}
            yield _Ridden(begin, platform, line.route, routes, zones)
