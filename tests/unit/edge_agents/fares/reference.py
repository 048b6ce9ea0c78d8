"""The price of rides by the text of the GTFS reference, in the plainest and slowest way.

Holds `edge_agents/fares` to what carriers and passengers read: all ways, all rules, all ways to
combine them are tried, and nothing is shared with the code that gates run. Small feeds only.
https://gtfs.org/documentation/schedule/reference
"""

from __future__ import annotations

import csv
import itertools
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

Row = dict[str, str]
# A place in a trip where somebody gets on, and one where he gets off: (route, platforms between).
Piece = tuple[str, tuple[str, ...]]
DECIMALS = {"JPY": 0, "KWD": 3}
MOST_CHANGES = 4


@dataclass(frozen=True)
class Trip:
    """A ride: stations, and the taps in seconds since 1970."""

    origin: str
    destination: str
    entry: int
    exit: int


@dataclass(frozen=True)
class Price:
    """What one ride may cost, minor units, and its leg group."""

    minor: int
    group: str


class Reference:
    """The feed of one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._tables: dict[str, list[Row]] = {}
        self._found: dict[tuple[str, str, bool], list[list[Piece]]] = {}
        self._priced: dict[tuple[Trip, str], set[Price]] = {}
        self.stops = {row["stop_id"]: row for row in self.table("stops")}
        self.patterns = self._read_patterns()

    def table(self, name: str) -> list[Row]:
        if name not in self._tables:
            path = self._folder / f"{name}.txt"
            text = path.read_text(encoding="utf-8-sig") if path.exists() else ""
            self._tables[name] = [dict(row) for row in csv.DictReader(text.splitlines())]
        return self._tables[name]

    def due(self, trips: list[Trip], rider: str) -> list[int | None]:
        """What is due at each exit of a journey; None for a ride that has no price."""
        dues: list[int | None] = []
        for count in range(1, len(trips) + 1):
            total = self._total(trips[:count], rider)
            paid = sum(due or 0 for due in dues)
            dues.append(None if total is None else max(0, total - paid))
        return dues

    def prices(self, trip: Trip, rider: str) -> set[Price]:
        """What a ride may cost by itself."""
        if (trip, rider) not in self._priced:
            is_new = bool(self.table("fare_leg_rules"))
            found = self._leg_prices(trip, rider) if is_new else self._zone_prices(trip)
            self._priced[trip, rider] = found
        return self._priced[trip, rider]

    def _read_patterns(self) -> list[Piece]:
        found = []
        for trip in self.table("trips"):
            rows = [r for r in self.table("stop_times") if r["trip_id"] == trip["trip_id"]]
            rows.sort(key=lambda row: int(row["stop_sequence"]))
            piece = (trip["route_id"], tuple(row["stop_id"] for row in rows))
            if piece not in found:
                found.append(piece)
        return found

    def station(self, stop: str) -> str:
        parent = self.stops[stop].get("parent_station")
        return self.station(parent) if parent else stop

    def platforms(self, stop: str) -> list[str]:
        station = self.station(stop)
        inside = [
            name
            for name, row in self.stops.items()
            if name != station
            and self.station(name) == station
            and row.get("location_type") not in ("2", "3")
        ]
        return inside or [station]

    def _pieces_from(self, stations: set[str]) -> list[Piece]:
        return [
            (route, stops[begin : end + 1])
            for route, stops in self.patterns
            for begin in range(len(stops))
            if self.station(stops[begin]) in stations
            for end in range(begin + 1, len(stops))
        ]

    def _ways(self, origin: str, destination: str, is_leg: bool) -> list[list[Piece]]:
        """All ways with the fewest changes; with `is_leg` those that are one leg alone."""
        asked = self.station(origin), self.station(destination), is_leg
        if asked not in self._found:
            self._found[asked] = self._find_ways(*asked)
        return self._found[asked]

    def _find_ways(self, origin: str, destination: str, is_leg: bool) -> list[list[Piece]]:
        ways = [[piece] for piece in self._pieces_from({self.station(origin)})]
        for _ in range(MOST_CHANGES + 1):
            there = [
                way for way in ways if self.station(way[-1][1][-1]) == self.station(destination)
            ]
            if there:
                return there
            ways = [
                [*way, piece]
                for way in ways
                for piece in self._pieces_from(set(map(self.station, self.stops)))
                if (self._joins(way[-1], piece) if is_leg else self._meet(way[-1], piece))
            ]
        return []

    def _meet(self, before: Piece, after: Piece) -> bool:
        return self.station(before[1][-1]) == self.station(after[1][0])

    def _joins(self, before: Piece, after: Piece) -> bool:
        rows = self.table("fare_leg_join_rules")
        networks = self._network(before[0]), self._network(after[0])
        if not rows:
            return self._meet(before, after) and networks[0] == networks[1] != ""
        for row in rows:
            wanted = row["from_network_id"], row["to_network_id"]
            if any(name and name != has for name, has in zip(wanted, networks, strict=True)):
                continue
            if row.get("from_stop_id"):
                here = {before[1][-1], self.station(before[1][-1])}
                there = {after[1][0], self.station(after[1][0])}
                if row["from_stop_id"] in here and row["to_stop_id"] in there:
                    return True
            elif self._meet(before, after):
                return True
        return False

    def _network(self, route: str) -> str:
        for row in self.table("route_networks"):
            if row["route_id"] == route:
                return row["network_id"]
        for row in self.table("routes"):
            if row["route_id"] == route:
                return row.get("network_id") or ""
        return ""

    def _zone(self, stop: str) -> str:
        own = self.stops[stop].get("zone_id") or ""
        parent = self.stops[stop].get("parent_station")
        return own or (self._zone(parent) if parent else "")

    def _zone_prices(self, trip: Trip) -> set[Price]:
        ways = self._ways(trip.origin, trip.destination, is_leg=False)
        ends = itertools.product(self.platforms(trip.origin), self.platforms(trip.destination))
        found = set()
        for fare in self.table("fare_attributes"):
            for way in ways:
                stops = [stop for _, between in way for stop in between]
                if self._is_fare(fare, [route for route, _ in way], stops, len(way) - 1):
                    found.add(Price(minor(fare["price"], fare["currency_type"]), ""))
        if not ways:
            for (begin, end), fare in itertools.product(ends, self.table("fare_attributes")):
                if self._is_fare(fare, [], [begin, end], 0):
                    found.add(Price(minor(fare["price"], fare["currency_type"]), ""))
        return found

    def _is_fare(self, fare: Row, routes: list[str], stops: list[str], changes: int) -> bool:
        agencies = [row["agency_id"] for row in self.table("agency")]
        of_route = {row["route_id"]: row.get("agency_id") or "" for row in self.table("routes")}
        if fare.get("agency_id"):
            named = {of_route.get(route) or agencies[0] for route in routes} or set(agencies)
            if named != {fare["agency_id"]}:
                return False
        if fare.get("transfers") and changes > int(fare["transfers"]):
            return False
        rows = [row for row in self.table("fare_rules") if row["fare_id"] == fare["fare_id"]]
        if not rows:
            return True
        # Of each route, and where it may begin and end: the zones that must be passed, all of them.
        for origin, destination in {(r.get("origin_id"), r.get("destination_id")) for r in rows}:
            same = [
                r
                for r in rows
                if (r.get("origin_id"), r.get("destination_id")) == (origin, destination)
            ]
            zones_of = {
                name: {r.get("contains_id") for r in same if (r.get("route_id") or "") == name}
                - {"", None}
                for name in {r.get("route_id") or "" for r in same}
            }
            for passed in zones_of.values():
                allowed = {name for name, zones in zones_of.items() if zones == passed}
                if (
                    origin in ("", None, self._zone(stops[0]))
                    and destination in ("", None, self._zone(stops[-1]))
                    and ("" in allowed or (routes and set(routes) <= allowed))
                    and (not passed or (routes and passed == {self._zone(s) for s in stops} - {""}))
                ):
                    return True
        return False

    def _areas(self, platform: str) -> set[str]:
        stop = platform
        while stop:
            own = {row["area_id"] for row in self.table("stop_areas") if row["stop_id"] == stop}
            if own:
                return own
            stop = self.stops[stop].get("parent_station") or ""
        return set()

    def _leg_prices(self, trip: Trip, rider: str) -> set[Price]:
        found = set()
        ways = self._ways(trip.origin, trip.destination, is_leg=True)
        ends = [(way[0][1][0], way[-1][1][-1], {self._network(r) for r, _ in way}) for way in ways]
        if not ways:
            pairs = itertools.product(self.platforms(trip.origin), self.platforms(trip.destination))
            ends = [(begin, end, set()) for begin, end in pairs]
        for begin, end, networks in ends:
            for row in self._leg_rules(trip, begin, end, networks - {""}):
                for price in self._product(row["fare_product_id"], rider):
                    found.add(Price(price, row.get("leg_group_id") or ""))
        return found

    def _leg_rules(self, trip: Trip, begin: str, end: str, networks: set[str]) -> list[Row]:
        rows = self.table("fare_leg_rules")
        has_priority = "rule_priority" in rows[0]

        def fits(column: str, there: set[str]) -> bool:
            wanted, listed = row.get(column) or "", {other.get(column) or "" for other in rows}
            if wanted:
                return wanted in there
            return has_priority or not (there & listed)

        matching = []
        for row in rows:
            if len(networks) > 1 and row.get("network_id"):
                continue
            if (
                fits("network_id", networks)
                and fits("from_area_id", self._areas(begin))
                and fits("to_area_id", self._areas(end))
                and self._in_time(row.get("from_timeframe_group_id"), trip.entry, trip.origin)
                and self._in_time(row.get("to_timeframe_group_id"), trip.exit, trip.destination)
            ):
                matching.append(row)
        top = max((int(row.get("rule_priority") or 0) for row in matching), default=0)
        return [row for row in matching if int(row.get("rule_priority") or 0) == top]

    def _in_time(self, group: str | None, at: int, stop: str) -> bool:
        if not group:
            return True
        station = self.stops[self.station(stop)]
        zone = station.get("stop_timezone") or self.stops[stop].get("stop_timezone")
        zone = zone or self.table("agency")[0]["agency_timezone"]
        local = datetime.fromtimestamp(at, ZoneInfo(zone))
        clock = local.strftime("%H:%M:%S")
        for row in self.table("timeframes"):
            begin = (row.get("start_time") or "00:00:00").rjust(8, "0")
            end = (row.get("end_time") or "24:00:00").rjust(8, "0")
            runs = self._runs(row["service_id"], local)
            if row["timeframe_group_id"] == group and runs and begin <= clock < end:
                return True
        return False

    def _runs(self, service: str, day: datetime) -> bool:
        stamp = day.strftime("%Y%m%d")
        for row in self.table("calendar_dates"):
            if row["service_id"] == service and row["date"] == stamp:
                return row["exception_type"] == "1"
        weekday = day.strftime("%A").lower()
        return any(
            row["service_id"] == service
            and row["start_date"] <= stamp <= row["end_date"]
            and row[weekday] == "1"
            for row in self.table("calendar")
        )

    def _product(self, product: str, rider: str) -> set[int]:
        rows = [row for row in self.table("fare_products") if row["fare_product_id"] == product]
        riders = self.table("rider_categories")
        known = {row["rider_category_id"] for row in riders}
        known |= {row.get("rider_category_id") or "" for row in self.table("fare_products")} - {""}
        default = {r["rider_category_id"] for r in riders if r["is_default_fare_category"] == "1"}
        wanted = {rider} if rider in known else default
        for categories in (wanted | {""}, default):
            found = {
                minor(row["amount"], row["currency"])
                for row in rows
                if (row.get("rider_category_id") or "") in categories
            }
            if found:
                return found
        return set()

    def _total(self, trips: list[Trip], rider: str) -> int | None:
        """The cheapest sum of a journey: each price of each ride, each rule of each transfer."""
        choices = [sorted(self.prices(trip, rider), key=str) for trip in trips]
        totals = [
            total
            for prices in itertools.product(*choices)
            for total in self._sums(trips, list(prices), rider)
        ]
        return min(totals, default=None)

    def _sums(self, trips: list[Trip], prices: list[Price], rider: str) -> list[int]:
        """Each sum that a journey may come to, its rides having these prices."""
        # (cost of what is over, cost of the present sub-journey, its rides, its transfers' rules)
        sums: list[tuple[int, int, int, list[Row]]] = [(0, prices[0].minor, 1, [])]
        for place in range(1, len(trips)):
            after: list[tuple[int, int, int, list[Row]]] = []
            for over, cost, length, rules in sums:
                rows = self._transfers(trips, prices, place, rules)
                for row in rows:
                    product = row.get("fare_product_id") or ""
                    between = min(self._product(product, rider)) if product else 0
                    kind = row["fare_transfer_type"]
                    before = 0 if kind == "2" and length == 1 else cost
                    more = prices[place].minor if kind == "1" else 0
                    after.append((over, before + between + more, length + 1, [*rules, row]))
                if not rows:
                    after.append((over + cost, prices[place].minor, 1, []))
            sums = after
        return [over + cost for over, cost, _, _ in sums]

    def _transfers(
        self, trips: list[Trip], prices: list[Price], place: int, rules: list[Row]
    ) -> list[Row]:
        """The rules that join a ride to the one before it; `rules` joined those before."""
        table = self.table("fare_transfer_rules")
        ends = prices[place - 1].group, prices[place].group
        if "" in ends:
            return []
        exact = [r for r in table if (r["from_leg_group_id"], r["to_leg_group_id"]) == ends]
        listed_from = {r["from_leg_group_id"] for r in table}
        listed_to = {r["to_leg_group_id"] for r in table}
        rows = exact or [
            r
            for r in table
            if r["from_leg_group_id"] == ends[0]
            or (not r["from_leg_group_id"] and ends[0] not in listed_from)
            if r["to_leg_group_id"] == ends[1]
            or (not r["to_leg_group_id"] and ends[1] not in listed_to)
        ]
        good: list[tuple[int, Row]] = []
        for row in rows:
            count, first = 1, place - 1
            if row["from_leg_group_id"] == row["to_leg_group_id"]:
                for before in reversed(rules):
                    same = ("from_leg_group_id", "to_leg_group_id")
                    if any(before[name] != row[name] for name in same):
                        break
                    count, first = count + 1, first - 1
            limit = int(row.get("transfer_count") or -1)
            if (limit == -1 or count <= limit) and in_limit(row, trips[first], trips[place]):
                good.append((10**6 if limit == -1 else limit, row))
        fewest = min((limit for limit, _ in good), default=0)
        return [row for limit, row in good if limit == fewest]


def in_limit(row: Row, first: Trip, last: Trip) -> bool:
    """Whether a transfer is within its rule's duration."""
    if not row.get("duration_limit"):
        return True
    begin, end = {
        "0": (first.entry, last.exit),
        "1": (first.entry, last.entry),
        "2": (first.exit, last.entry),
        "3": (first.exit, last.exit),
    }[row["duration_limit_type"]]
    return end - begin <= int(row["duration_limit"])


def minor(amount: str, currency: str) -> int:
    """An amount in minor units."""
    scaled = Decimal(amount) * 10 ** DECIMALS.get(currency, 2)
    assert scaled == int(scaled)
    return int(scaled)
