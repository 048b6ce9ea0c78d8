"""Rides priced by two real feeds cost what the feeds say, for every pair of stations and areas.

The expected fares are read from the CSV here, in the plainest way that these two feeds allow. The
feeds are third parties' data and no part of the project; without them the tests are skipped.
"""

from __future__ import annotations

import csv
import io
import zipfile

import pytest

from edge_agents.fares.ride import Ride
from edge_agents.fares.tariff import NoSuchTrip, Tariff, load_tariff
from kessai.money import Money
from tests.house.tree import ROOT

# Beside a clone, or beside the folder of several.
DATA = next(
    (
        folder / "shared" / "data"
        for folder in ROOT.parents
        if (folder / "shared" / "data").is_dir()
    ),
    ROOT.parent / "shared" / "data",
)
RAIL, BUS = DATA / "gtfs-fares-v1-rail", DATA / "gtfs-fares-v2-bus.zip"

Rows = list[dict[str, str]]


def minor(decimal: str) -> int:
    whole, _, fraction = decimal.partition(".")
    return int(whole + fraction.ljust(2, "0"))


def fare_of(tariff: Tariff, origin: str, destination: str, rider: str = "") -> Money | None:
    try:
        return tariff.fare(Ride(origin, destination), rider)
    except NoSuchTrip:
        return None


@pytest.mark.skipif(not RAIL.is_dir(), reason="the rail feed is not beside this clone")
def test_every_pair_of_stations_of_the_rail_feed() -> None:
    """Fares v1: one route, two fares between two zones."""

    def table(name: str) -> Rows:
        return list(csv.DictReader((RAIL / f"{name}.txt").read_text("utf-8-sig").splitlines()))

    zones = {row["stop_id"]: row["zone_id"] for row in table("stops")}
    prices = {row["fare_id"]: minor(row["price"]) for row in table("fare_attributes")}
    rules = {
        (row["origin_id"], row["destination_id"]): prices[row["fare_id"]]
        for row in table("fare_rules")
    }
    tariff, priced = load_tariff(RAIL), 0
    for origin, begin in zones.items():
        for destination, end in zones.items():
            if origin == destination:
                continue
            expected = rules.get((begin, end))
            fare = fare_of(tariff, origin, destination)
            assert fare == (None if expected is None else Money(expected, "MXN"))
            assert fare == fare_of(tariff, destination, origin)  # this feed is symmetric
            priced += fare is not None
    assert priced == len(zones) * (len(zones) - 1)


@pytest.mark.skipif(not BUS.exists(), reason="the bus feed is not beside this clone")
def test_every_pair_of_stops_and_areas_of_the_bus_feed() -> None:
    """Fares v2: areas, leg rules and rider categories; some rides are free."""
    with zipfile.ZipFile(BUS) as archive:

        def table(name: str) -> Rows:
            text = archive.read(f"{name}.txt").decode("utf-8-sig")
            return list(csv.DictReader(io.StringIO(text)))

        areas = {row["stop_id"]: row["area_id"] for row in table("stop_areas")}
        rules = {
            (row["from_area_id"], row["to_area_id"]): row["fare_product_id"]
            for row in table("fare_leg_rules")
        }
        singles = {
            row["fare_product_id"]: minor(row["amount"])
            for row in table("fare_products")
            if row["rider_category_id"] == "0"
        }
        riders = [row["rider_category_id"] for row in table("rider_categories")]
    tariff, pairs = load_tariff(BUS), set()
    for origin, begin in areas.items():
        for destination, end in areas.items():
            expected = Money(singles[rules[begin, end]], "PLN")
            assert fare_of(tariff, origin, destination) == expected
            assert fare_of(tariff, destination, origin) == expected  # this feed is symmetric
            pairs.add((begin, end))
    assert pairs == rules.keys()
    first = {area: stop for stop, area in areas.items()}
    for (begin, end), product in rules.items():
        for rider in riders:  # single rides have no reductions, so everybody pays the default
            fare = fare_of(tariff, first[begin], first[end], rider)
            assert fare == Money(singles[product], "PLN")
