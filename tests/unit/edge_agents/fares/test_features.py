"""What single rides cost where feeds use what carriers use, written down by hand."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from edge_agents.fares.ride import Ride
from edge_agents.fares.tariff import NoSuchTrip, load_tariff
from kessai.complaint import Complaint
from kessai.money import Money
from tests.unit.edge_agents.fares.sample_feeds import FEEDS, write_tables

MORNING = "2026-05-22T08:00:00+02:00"


def at_us(moment: str) -> int:
    return int(datetime.fromisoformat(moment).timestamp()) * 1_000_000


@pytest.mark.parametrize(
    ("feed", "origin", "destination", "fare"),
    [
        ("zones on platforms", "b", "c", "1.50 EUR"),
        ("zones on platforms", "a", "d", "4.00 EUR"),
        ("zones on platforms", "door", "d", "4.00 EUR"),
        ("zones on platforms", "a", "b", "9.00 EUR"),  # by contains_id: zones 1 and 2
        ("amounts", "a", "b", "2.75 USD"),
        ("yen", "a", "d", "230 JPY"),
        ("two agencies", "e", "f", "1.00 EUR"),
        ("two agencies", "a", "c", "2.00 EUR"),
        ("one change", "a", "c", "1.00 EUR"),
        ("one change", "a", "e", "2.00 EUR"),
        ("one change", "a", "f", "5.00 EUR"),
        ("zones over changes", "a", "e", "3.00 EUR"),
        ("areas of platforms", "b", "d", "1.00 EUR"),  # from platform 1, which is "mid"
        ("areas of platforms", "d", "b", "2.00 EUR"),  # to platform 2, which is "in"
        ("one network", "a", "e", "3.00 EUR"),
        ("joins", "e", "f", "0.70 EUR"),
        ("joins", "a", "e", "1.00 EUR"),
        ("joins", "c", "f", "5.00 EUR"),
    ],
)
def test_rides(tmp_path: Path, feed: str, origin: str, destination: str, fare: str) -> None:
    tariff = load_tariff(write_tables(tmp_path, FEEDS[feed]))
    assert str(tariff.fare(Ride(origin, destination))) == fare


def test_no_fare_for_more_changes_than_it_allows(tmp_path: Path) -> None:
    rules = "fare_id,route_id\nnone,R\nnone,S\none,T\nany,T\n"
    tariff = load_tariff(write_tables(tmp_path, FEEDS["one change"] | {"fare_rules": rules}))
    with pytest.raises(NoSuchTrip):
        tariff.fare(Ride("a", "e"))


@pytest.mark.parametrize(
    ("entry", "exit_", "minor"),
    [
        (MORNING, MORNING, 300),
        ("2026-05-22T06:29:59+02:00", MORNING, 200),
        ("2026-05-22T09:00:00+02:00", "2026-05-22T12:00:00+02:00", 200),
        ("2026-05-22T20:30:00+02:00", "2026-05-22T21:00:00+02:00", 100),  # 20:00 in Lisbon
        ("2026-05-22T20:30:00+02:00", "2026-05-22T20:59:59+02:00", 200),
        ("2026-05-23T08:00:00+02:00", "2026-05-23T09:00:00+02:00", 100),  # a Saturday
        ("2026-05-25T08:00:00+02:00", "2026-05-25T09:00:00+02:00", 100),  # Whit Monday
    ],
)
def test_times_are_those_of_the_walls_at_both_ends(
    tmp_path: Path, entry: str, exit_: str, minor: int
) -> None:
    tariff = load_tariff(write_tables(tmp_path, FEEDS["times"]))
    assert tariff.fare(Ride("a", "d", at_us(entry), at_us(exit_))) == Money(minor, "EUR")


def test_only_the_end_of_a_ride_has_a_timeframe(tmp_path: Path) -> None:
    tariff = load_tariff(write_tables(tmp_path, FEEDS["one end's time"]))
    night = at_us("2026-05-22T05:00:00+02:00")
    assert tariff.fare(Ride("a", "d", night, at_us(MORNING))) == Money(150, "EUR")
    assert tariff.fare(Ride("a", "d", night, night + 1_000_000)) == Money(200, "EUR")


@pytest.mark.parametrize(
    ("rider", "way", "minor"),
    [
        ("adult", ("a", "d"), 200),
        ("child", ("a", "d"), 100),
        ("senior", ("a", "d"), 200),  # no reduction here: the default's
        ("", ("a", "d"), 200),
        ("giraffe", ("d", "a"), 300),  # a category that nobody knows is the default
        ("child", ("d", "a"), 350),  # what everybody may have
        ("senior", ("a", "b"), 80),
    ],
)
def test_riders(tmp_path: Path, rider: str, way: tuple[str, str], minor: int) -> None:
    tariff = load_tariff(write_tables(tmp_path, FEEDS["riders"]))
    assert tariff.fare(Ride(*way), rider) == Money(minor, "EUR")


@pytest.mark.parametrize(
    ("feed", "table", "replace", "says"),
    [
        ("amounts", "fare_attributes", ("2.7500", "2.7550"), '"2.755" is not an amount of USD'),
        ("yen", "fare_attributes", ("230.00", "230.50"), '"230.5" is not an amount of JPY'),
        ("two agencies", "fare_attributes", ("0,b", "0,c"), 'no "c"'),
        ("times", "timeframes", ("9:00:00", "24:00:01"), "no time of day"),
        ("times", "timeframes", ("9:00:00", "06:00:00"), "before it begins"),
        ("times", "timeframes", ("06:30:00,9:00:00", ",9:00:00"), "alone"),
        ("times", "timeframes", (",end\n", ",never\n"), 'a service "never"'),
        ("times", "fare_leg_rules", (",late,", ",noon,"), 'a timeframe "noon"'),
        ("times", "calendar", ("20260101", "20260231"), "no start_date"),
        ("times", "calendar_dates", (",2\n", ",3\n"), "no exception"),
        ("times", "stops", ("Europe/Lisbon", "Europe/Atlantis"), "Atlantis"),
        ("joins", "fare_leg_join_rules", ("bus,d,f", "bus,d,z"), 'a stop "z"'),
        ("joins", "fare_leg_join_rules", ("bus,d,f", "bus,d,"), "alone"),
        ("riders", "fare_products", ("p,adult,2.00", "p,adult,-2.00"), "less than zero"),
        ("zones on platforms", "stops", ("a,A,1,,", "a,A,1,a1,"), "leads back"),
    ],
)
def test_what_cannot_be(
    tmp_path: Path, feed: str, table: str, replace: tuple[str, str], says: str
) -> None:
    tables = dict(FEEDS[feed])
    assert replace[0] in tables[table]
    tables[table] = tables[table].replace(*replace)
    with pytest.raises(Complaint, match=says):
        load_tariff(write_tables(tmp_path, tables))
