"""A carrier's tariff: what a ride costs a rider, by itself or after others, from a GTFS feed.

Read once at start by the gate. Fares v2 if the feed has leg rules, else Fares v1. Amounts are whole
minor units from the first character on.
"""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

from edge_agents.fares.feed import Feed, FeedError
from edge_agents.fares.journey import Costs, Journey, JourneyCosts
from edge_agents.fares.leg_fares import LegFares
from edge_agents.fares.network import Network, Station
from edge_agents.fares.products import Products
from edge_agents.fares.ride import Offer, Ride
from edge_agents.fares.time_zone import read_zone
from edge_agents.fares.transfers import TransferRules
from edge_agents.fares.zone_fares import ZoneFares
from kessai.complaint import Complaint
from kessai.money import Money, MoneyError


class NoSuchTrip(Exception):
    """The fare tables have no fare for this ride; nothing may be charged for it."""


class Tariff:
    """Stations and fares, all in one currency; `zone` is the carrier's time zone."""

    def __init__(
        self,
        network: Network,
        fares: ZoneFares | LegFares,
        prices: ZoneFares | Products,
        transfers: TransferRules,
        zone: ZoneInfo,
    ) -> None:
        """`prices` has every amount. FeedError for amounts that cannot be."""
        self._network, self._fares, self._transfers = network, fares, transfers
        self._prices, self.zone = prices, zone
        self.currency = _currency(prices.amounts)

    @property
    def stations(self) -> dict[str, Station]:
        """The stations by their stop_id."""
        return self._network.stations

    @property
    def has_transfers(self) -> bool:
        """Whether a ride may cost less after another one."""
        return bool(self._transfers)

    def fare(self, ride: Ride, rider_category: str = "") -> Money:
        """The fare of a ride by itself, zero or more; NoSuchTrip if the tables do not have it."""
        return Money(self.price(ride, rider_category, Journey()).due_minor, self.currency)

    def price(self, ride: Ride, rider_category: str, before: Journey) -> Costs:
        """The costs of a ride after a journey; NoSuchTrip if the tables do not have the ride."""

        def offers(each: Ride) -> list[Offer]:
            return self._offers(each, rider_category)

        def cheapest(product: str) -> int | None:
            prices = self._prices.prices(product, rider_category)
            return min((price.minor for price in prices), default=None)

        costs = JourneyCosts(self._transfers, offers, cheapest).add(before, ride)
        if costs is None:
            raise NoSuchTrip(f"no fare from {ride.origin} to {ride.destination}")
        return costs

    def has_fare_at(self, station: str) -> bool:
        """Whether any ride from or to a station has a fare, for any rider, at any time."""
        return any(
            self._offers(Ride(station, other), category)
            or self._offers(Ride(other, station), category)
            for other in self.stations
            if other != station
            for category in self._prices.rider_categories | {""}
        )

    def _offers(self, ride: Ride, rider_category: str) -> list[Offer]:
        if ride.origin not in self.stations or ride.destination not in self.stations:
            return []
        return self._fares.offers(ride, rider_category)


def load_tariff(path: Path, media: frozenset[str] = frozenset()) -> Tariff:
    """Read a feed, a folder or zip file; Complaint if it cannot be priced.

    `media`: the fare_media_ids that the gate sells; empty: all.
    """
    return read_tariff(Feed(path), media)


def read_tariff(feed: Feed, media: frozenset[str]) -> Tariff:
    """Read the tables of a feed; see `load_tariff`."""
    try:
        network, zone = Network(feed), _zone(feed)
        if not feed.rows("fare_leg_rules"):
            fares = ZoneFares(feed, network)
            return Tariff(network, fares, fares, TransferRules(()), zone)
        products, transfers = Products(feed, media), TransferRules(feed.rows("fare_transfer_rules"))
        legs = LegFares(feed, network, products, zone)
        _require_names(legs, products, transfers)
        return Tariff(network, legs, products, transfers, zone)
    except FeedError as error:
        raise Complaint(f"The feed {feed.path} is wrong: {error}.") from None
    except KeyError as error:
        raise Complaint(f"The feed {feed.path} lacks the column {error} in a table.") from None
    except MoneyError as error:
        raise Complaint(f"The feed {feed.path} has a price that is none: {error}.") from None


def _require_names(legs: LegFares, products: Products, transfers: TransferRules) -> None:
    for name in transfers.products - products.names:
        raise FeedError(f'fare_transfer_rules.txt has a product "{name}", fare_products.txt not')
    for name in transfers.groups - legs.groups:
        raise FeedError(f'fare_transfer_rules.txt has a group "{name}", fare_leg_rules.txt not')
    for name in legs.products:
        if any(price.minor < 0 for price in products.amounts_of(name)):
            raise FeedError(f'the product "{name}" costs less than zero, and is no transfer')


def _currency(amounts: list[Money]) -> str:
    currencies = {amount.currency for amount in amounts}
    if len(currencies) != 1:
        names = ", ".join(sorted(currencies)) or "none"
        raise FeedError(f"it needs prices in one currency, and not in {names}")
    return currencies.pop()


def _zone(feed: Feed) -> ZoneInfo:
    return read_zone(feed.require("agency")[0].get("agency_timezone", ""))
