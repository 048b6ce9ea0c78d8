"""A carrier's tariff: what a ride from one station to another costs a rider, from a GTFS feed.

Read once at start by the gate, and by `kessai fares`. Fares v2 if the feed has leg rules, else
Fares v1. Amounts are whole minor units from the first character on.
"""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from edge_agents.fares.feed import Feed, FeedError
from edge_agents.fares.leg_fares import LegFares
from edge_agents.fares.network import Network, Station
from edge_agents.fares.zone_fares import ZoneFares
from kessai.complaint import Complaint
from kessai.money import Money, MoneyError


class NoSuchTrip(Exception):
    """The fare tables have no fare for this ride; nothing may be charged for it."""


class Tariff:
    """Stations and fares, all in one currency; `zone` is the carrier's time zone."""

    def __init__(
        self, network: Network, fares: ZoneFares | LegFares, currency: str, zone: ZoneInfo
    ) -> None:
        self._network, self._fares = network, fares
        self.currency, self.zone = currency, zone

    @property
    def stations(self) -> dict[str, Station]:
        """The stations by their stop_id."""
        return self._network.stations

    def fare(self, origin: str, destination: str, rider_category: str = "") -> Money:
        """Tell what a ride costs, zero or more; NoSuchTrip if the tables do not have it."""
        if origin not in self.stations or destination not in self.stations:
            raise NoSuchTrip(f"no fare from {origin} to {destination}: no such station")
        offers = self._fares.offers(origin, destination, rider_category)
        if not offers:
            raise NoSuchTrip(f"no fare from {origin} to {destination}")
        return min(offers, key=lambda offer: offer.minor)

    def has_fare_at(self, station: str) -> bool:
        """Whether any ride from or to a station has a fare, for any rider."""
        categories = self._fares.rider_categories | {""}
        return any(
            self._fares.offers(station, other, category)
            or self._fares.offers(other, station, category)
            for other in self.stations
            if other != station
            for category in categories
        )


def load_tariff(path: Path, media: frozenset[str] = frozenset()) -> Tariff:
    """Read a feed, a folder or zip file; Complaint if it cannot be priced.

    `media`: the fare_media_ids that the gate sells; empty: all.
    """
    feed = Feed(path)
    try:
        network = Network(feed)
        fares: ZoneFares | LegFares
        if feed.rows("fare_leg_rules"):
            fares = LegFares(feed, network, Money.parse, media)
        else:
            fares = ZoneFares(feed, network, Money.parse)
        return Tariff(network, fares, _currency(fares, path), _zone(feed))
    except FeedError as error:
        raise Complaint(f"The feed {path} is wrong: {error}.") from None
    except KeyError as error:
        raise Complaint(f"The feed {path} lacks the column {error} in one of its tables.") from None
    except MoneyError as error:
        raise Complaint(f"The feed {path} has a price that is none: {error}.") from None


def _currency(fares: ZoneFares | LegFares, path: Path) -> str:
    currencies = {amount.currency for amount in fares.amounts}
    negative = any(amount.minor < 0 for amount in fares.amounts)
    if len(currencies) != 1 or negative:
        raise Complaint(
            f"The feed {path} needs prices of zero or more in one currency, and not in "
            f"{', '.join(sorted(currencies)) or 'none'}."
        )
    return currencies.pop()


def _zone(feed: Feed) -> ZoneInfo:
    name = feed.require("agency")[0].get("agency_timezone", "")
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Complaint(
            f'The feed {feed.path} names no time zone that is known: "{name}".'
        ) from None
