"""Where a change does not end a leg: fare_leg_join_rules.txt of Fares v2.

https://gtfs.org/documentation/schedule/reference/#fare_leg_join_rulestxt. Lines are named by their
networks here.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from edge_agents.fares.feed import Feed, FeedError, Row
from edge_agents.fares.network import Network
from edge_agents.fares.ways import MayChange


@dataclass(frozen=True, slots=True)
class _Join:
    """A join rule; what is empty is not asked."""

    from_network: str
    to_network: str
    from_stop: str
    to_stop: str


def read_joins(feed: Feed, network: Network) -> tuple[MayChange, dict[str, set[str]]]:
    """Read who may change within a leg, and the stations to which one walks for it.

    Without the table all lines of one network join wherever they meet. FeedError for a stop that
    is nowhere.
    """
    joins = [_read_join(row, network) for row in feed.rows("fare_leg_join_rules")]
    if not joins:
        return lambda before, at, after, on: bool(before) and before == after, {}
    elsewhere: defaultdict[str, set[str]] = defaultdict(set)
    for join in joins:
        if join.from_stop and join.to_stop:
            elsewhere[network.station_of(join.from_stop)].add(network.station_of(join.to_stop))

    def may_change(before: str, at: str, after: str, on: str) -> bool:
        is_here = network.station_of(at) == network.station_of(on)
        return any(
            join.from_network in ("", before)
            and join.to_network in ("", after)
            and (not join.from_stop or network.is_within(at, join.from_stop))
            and (network.is_within(on, join.to_stop) if join.to_stop else is_here)
            for join in joins
        )

    return may_change, dict(elsewhere)


def _read_join(row: Row, network: Network) -> _Join:
    names = ("from_network_id", "to_network_id", "from_stop_id", "to_stop_id")
    join = _Join(*(row.get(name, "") for name in names))
    for stop in (join.from_stop, join.to_stop):
        if stop and stop not in network.stations:
            raise FeedError(f'fare_leg_join_rules.txt has a stop "{stop}", stops.txt not')
    if bool(join.from_stop) != bool(join.to_stop):
        raise FeedError("a row of fare_leg_join_rules.txt has one of from_ and to_stop_id alone")
    return join
