"""The carrier's rules: what a ride costs here, and what is refused (mission row B4).

Pure; read once from the configuration, and asked by `entry` and `leaving`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import time

from edge_agents.fares.cap import capped, day_start_us
from edge_agents.fares.ride import Ride
from edge_agents.fares.tariff import NoSuchTrip, Tariff, load_tariff
from edge_agents.gate.admission import Refused
from edge_agents.gate.config import GateConfig
from kessai.complaint import Complaint
from kessai.money import Money, MoneyError
from kessai.v1 import decline_pb2 as d
from kessai.v1.fare_pb2 import Admission

_MINUTE_US = 60_000_000
_SECOND_US = 1_000_000


@dataclass(frozen=True, slots=True)
class Rules:
    """What the configuration says, with every amount in the currency of the tariff."""

    tariff: Tariff
    station: str
    cap: Money | None
    day_start: time
    missing_entry: Money | None
    missing_exit: Money | None
    max_ride_us: int
    same_station_us: int
    passback_us: int

    def today_us(self, now_us: int) -> int:
        """Tell when the present service day began."""
        return day_start_us(now_us, self.tariff.zone, self.day_start)

    def name_of(self, station_id: str) -> str:
        """Name a station for people; one that the feed does not know, by its id."""
        station = self.tariff.stations.get(station_id)
        return station.name if station is not None and station.name else station_id

    def fare(self, admission: Admission, now_us: int) -> Money:
        """Tell what leaving here costs now, after the cap; zero is free.

        Refused with ADMISSION_EXPIRED, ADMISSION_MISSING, SAME_STATION or NO_SUCH_TRIP.
        """
        if not admission.station_id:  # written here, for somebody who had not tapped when entering
            return self._fixed(self.missing_entry, Refused(d.DECLINE_REASON_ADMISSION_MISSING))
        if now_us >= admission.expire_time.ToMicroseconds():
            return self._fixed(self.missing_entry, Refused(d.DECLINE_REASON_ADMISSION_EXPIRED))
        if admission.station_id == self.station:
            return self._same_station(now_us - admission.entry_time.ToMicroseconds())
        try:
            ride = Ride(
                admission.station_id, self.station, admission.entry_time.ToMicroseconds(), now_us
            )
            full = self.tariff.fare(ride, admission.rider_category)
        except NoSuchTrip:
            raise Refused(d.DECLINE_REASON_NO_SUCH_TRIP) from None
        return capped(full, admission.spent_today_minor, self.cap)

    def _same_station(self, inside_us: int) -> Money:
        if inside_us < self.same_station_us:
            return Money(0, self.tariff.currency)
        raise Refused(d.DECLINE_REASON_SAME_STATION)

    def _fixed(self, fare: Money | None, refusal: Refused) -> Money:
        if fare is None:
            raise refusal
        return fare


def read_rules(config: GateConfig) -> Rules:
    """Read the feed and the rules; Complaint if the station or an amount cannot be."""
    media = frozenset(name.strip() for name in config.fare_media.split(",") if name.strip())
    tariff = load_tariff(config.feed, media)
    if config.station not in tariff.stations:
        known = ", ".join(sorted(tariff.stations)[:8])
        raise Complaint(
            f'The feed {config.feed} has no station "{config.station}"; it has {known} ... '
            "Set `station` to the stop_id where the gate stands."
        )
    if not tariff.has_fare_at(config.station):
        raise Complaint(
            f'The feed {config.feed} has no fare for any ride from or to "{config.station}". '
            "Nobody could leave: look at its fare rules, and at its stops' areas or zones."
        )

    def amount(key: str) -> Money | None:
        text = getattr(config, key)
        try:
            money = None if text is None else Money.parse(text, tariff.currency)
        except MoneyError as error:
            raise Complaint(f"The config is wrong: {key}: {error}.") from None
        if money is not None and money.minor < 0:
            raise Complaint(f"The config is wrong: {key} is less than zero.")
        return money

    return Rules(
        tariff=tariff,
        station=config.station,
        cap=amount("daily_cap"),
        day_start=time.fromisoformat(config.service_day_start),
        missing_entry=amount("missing_entry_fare"),
        missing_exit=amount("missing_exit_fare"),
        max_ride_us=config.max_ride_minutes * _MINUTE_US,
        same_station_us=config.same_station_minutes * _MINUTE_US,
        passback_us=config.passback_seconds * _SECOND_US,
    )
