"""The carrier's rules: what a ride costs here, and what is refused (mission row B4).

Pure; read once from the configuration, and asked by `entry` and `leaving`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import time

from edge_agents.fares.cap import capped, day_start_us
from edge_agents.fares.feed import Feed
from edge_agents.fares.journey import Journey
from edge_agents.fares.ride import Ride
from edge_agents.fares.tariff import NoSuchTrip, Tariff
from edge_agents.gate.admission import Refused
from edge_agents.gate.config import GateConfig
from edge_agents.gate.journeys import from_proto
from edge_agents.gate.kept_feed import Reader, Tariffs, reader
from kessai.complaint import Complaint
from kessai.money import Money, MoneyError
from kessai.v1 import decline_pb2 as d
from kessai.v1.fare_pb2 import Admission

_MINUTE_US = 60_000_000
_SECOND_US = 1_000_000


@dataclass(frozen=True, slots=True)
class Charge:
    """What leaving costs, zero is free, and when the holder wanted to leave for that.

    `is_unpriced`: no tariff of the gate has the ride. It is let out, and the carrier is told.
    `journey` is what the next ride may be a transfer from; None where fares know no transfers.
    `alone_minor` is what the ride costs by itself, and `uncapped_minor` as a transfer.
    """

    fare: Money
    exit_us: int
    is_unpriced: bool = False
    journey: Journey | None = None
    alone_minor: int = 0
    uncapped_minor: int = 0

    @property
    def is_transfer(self) -> bool:
        """Whether the ride costs something else after those before it."""
        has_former = self.journey is not None and len(self.journey.rides) > 1
        return has_former and self.alone_minor != self.uncapped_minor


@dataclass(frozen=True, slots=True)
class Rules:
    """What the configuration says, with every amount in the currency of the tariff."""

    tariffs: Tariffs
    station: str
    cap: Money | None
    day_start: time
    missing_entry: Money | None
    missing_exit: Money | None
    max_ride_us: int
    same_station_us: int
    passback_us: int

    @property
    def tariff(self) -> Tariff:
        """The tariff in force."""
        return self.tariffs.present

    def today_us(self, now_us: int) -> int:
        """Tell when the present service day began."""
        return day_start_us(now_us, self.tariff.zone, self.day_start)

    def name_of(self, station_id: str) -> str:
        """Name a station for people; one that the feed does not know, by its id."""
        known = (tariff.stations.get(station_id) for tariff in self.tariffs.for_ride(0))
        return next((station.name for station in known if station and station.name), station_id)

    def charge(self, admission: Admission, now_us: int, exit_us: int) -> Charge:
        """What leaving here costs now, after the cap. `exit_us` is when he first wanted to leave.

        Refused with ADMISSION_EXPIRED, ADMISSION_MISSING or SAME_STATION.
        """
        if not admission.station_id:  # written here, for somebody who had not tapped when entering
            fare = self._fixed(self.missing_entry, Refused(d.DECLINE_REASON_ADMISSION_MISSING))
            return Charge(fare, exit_us)
        if now_us >= admission.expire_time.ToMicroseconds():
            fare = self._fixed(self.missing_entry, Refused(d.DECLINE_REASON_ADMISSION_EXPIRED))
            return Charge(fare, exit_us)
        entry_us = admission.entry_time.ToMicroseconds()
        if admission.station_id == self.station:
            return Charge(self._same_station(now_us - entry_us), exit_us)
        for tariff in self.tariffs.for_ride(entry_us):
            try:
                return self._price(tariff, admission, exit_us)
            except NoSuchTrip:
                continue
        return Charge(Money(0, self.tariff.currency), exit_us, is_unpriced=True)

    def _price(self, tariff: Tariff, admission: Admission, exit_us: int) -> Charge:
        # In whole seconds, as the next gates will read it.
        entry_us, end_us = admission.entry_time.ToMicroseconds(), exit_us // _SECOND_US * _SECOND_US
        ride = Ride(admission.station_id, self.station, entry_us, end_us)
        rider, spent = admission.rider_category, admission.spent_today_minor
        alone = tariff.fare(ride, rider)
        if not tariff.has_transfers:
            return Charge(capped(alone, spent, self.cap), exit_us)
        costs = tariff.price(ride, rider, from_proto(admission.journey, tariff.currency))
        due = capped(Money(costs.due_minor, tariff.currency), spent, self.cap)
        return Charge(due, exit_us, False, costs.journey, alone.minor, costs.due_minor)

    def _same_station(self, inside_us: int) -> Money:
        if inside_us < self.same_station_us:
            return Money(0, self.tariff.currency)
        raise Refused(d.DECLINE_REASON_SAME_STATION)

    def _fixed(self, fare: Money | None, refusal: Refused) -> Money:
        if fare is None:
            raise refusal
        return fare


def tariff_reader(config: GateConfig) -> Reader:
    """What reads feeds for this gate; Complaint for one by which nobody could enter or leave."""

    def check(feed: Feed, tariff: Tariff) -> None:
        if config.station not in tariff.stations:
            known = ", ".join(sorted(tariff.stations)[:8])
            raise Complaint(
                f'The feed {feed.path} has no station "{config.station}"; it has {known} ... '
                "Set `station` to the stop_id where the gate stands."
            )
        if not tariff.has_fare_at(config.station):
            raise Complaint(
                f'The feed {feed.path} has no fare for any ride from or to "{config.station}". '
                "Nobody could leave: look at its fare rules, and at its stops' areas or zones."
            )

    media = frozenset(name.strip() for name in config.fare_media.split(",") if name.strip())
    return reader(media, check)


def read_rules(config: GateConfig, tariffs: Tariffs | None = None) -> Rules:
    """Read the rules, and the feed if no tariffs are given; Complaint if an amount cannot be."""
    if tariffs is None:
        tariffs = Tariffs(tariff_reader(config)(Feed(config.feed)))
    currency = tariffs.present.currency

    def amount(key: str) -> Money | None:
        text = getattr(config, key)
        try:
            money = None if text is None else Money.parse(text, currency)
        except MoneyError as error:
            raise Complaint(f"The config is wrong: {key}: {error}.") from None
        if money is not None and money.minor < 0:
            raise Complaint(f"The config is wrong: {key} is less than zero.")
        return money

    return Rules(
        tariffs=tariffs,
        station=config.station,
        cap=amount("daily_cap"),
        day_start=time.fromisoformat(config.service_day_start),
        missing_entry=amount("missing_entry_fare"),
        missing_exit=amount("missing_exit_fare"),
        max_ride_us=config.max_ride_minutes * _MINUTE_US,
        same_station_us=config.same_station_minutes * _MINUTE_US,
        passback_us=config.passback_seconds * _SECOND_US,
    )
