"""Every pair of every small feed costs what the text of the reference says, and so do journeys."""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from edge_agents.fares.journey import Journey
from edge_agents.fares.ride import Ride
from edge_agents.fares.tariff import NoSuchTrip, Tariff, load_tariff
from edge_agents.gate.config import SAMPLE_FEED
from tests.unit.edge_agents.fares.random_feeds import draw_legs, draw_zones
from tests.unit.edge_agents.fares.reference import Reference, Trip
from tests.unit.edge_agents.fares.sample_feeds import FEEDS, JOURNEYS, write_tables

RIDERS = ("", "adult", "child", "senior", "giraffe")
# A Friday around the ends of timeframes, a Saturday, Whit Monday, a change of clocks, next year.
FRIDAY = ("06:29:59", "06:30:00", "08:59:59", "09:00:00", "19:59:59", "20:00:00", "23:59:59")
TIMES = [
    int(datetime.fromisoformat(at).timestamp())
    for at in (
        *(f"2026-05-22T{clock}+02:00" for clock in FRIDAY),
        *("2026-05-23T00:00:00+02:00", "2026-05-23T12:00:00+02:00", "2026-05-25T07:00:00+02:00"),
        *("2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00", "2027-01-04T07:00:00+01:00"),
    )
]


def ride_of(trip: Trip) -> Ride:
    return Ride(trip.origin, trip.destination, trip.entry * 1_000_000, trip.exit * 1_000_000)


def price_of(tariff: Tariff, trip: Trip, rider: str) -> int | None:
    try:
        return tariff.fare(ride_of(trip), rider).minor
    except NoSuchTrip:
        return None


@pytest.mark.parametrize("name", [*FEEDS, *JOURNEYS, "harbour line"])
def test_every_pair(tmp_path: Path, name: str) -> None:
    """Each pair of stops, each rider, at each time where times matter."""
    tables = (FEEDS | JOURNEYS).get(name)
    feed = SAMPLE_FEED if tables is None else write_tables(tmp_path, tables)
    tariff, reference = load_tariff(feed), Reference(feed)
    times = TIMES if tables and "timeframes" in tables else TIMES[:1]
    riders = RIDERS if tables is None or "rider_categories" in tables else RIDERS[:1]
    seen = set()
    stops = ("a", "b1", "d") if len(times) > 1 else reference.stops
    for origin, destination in itertools.permutations(stops, 2):
        for entry, rider in itertools.product(times, riders):
            trip = Trip(origin, destination, entry, entry + 1801)
            expected = reference.due([trip], rider)[0]
            assert price_of(tariff, trip, rider) == expected, (trip, rider)
            seen.add(expected)
    assert len(seen) > 1 or name == "yen"


@pytest.mark.parametrize("name", JOURNEYS)
def test_journeys(tmp_path: Path, name: str) -> None:
    """Rides after each other, some soon and some late: what is due at each exit."""
    feed = write_tables(tmp_path, JOURNEYS[name])
    tariff, reference = load_tariff(feed), Reference(feed)
    dice = random.Random(name)
    pairs = list(itertools.permutations(reference.stops, 2))
    cheaper = 0
    for _ in range(60):
        rider, trips = dice.choice(RIDERS), draw_trips(dice, pairs)
        trips = [trip for trip in trips if reference.prices(trip, rider)]
        dues = dues_of(tariff, trips, rider)
        assert dues == reference.due(trips, rider), (rider, trips)
        cheaper += sum(dues) < sum(price_of(tariff, trip, rider) or 0 for trip in trips)
    assert cheaper


@pytest.mark.parametrize("draw", [draw_legs, draw_zones])
def test_feeds_drawn_by_dice(
    tmp_path: Path, random_seed: int, draw: Callable[[random.Random], dict[str, str]]
) -> None:
    """Each pair, and journeys, of feeds that nobody would write. KESSAI_EXAMPLES: how many."""
    for number in range(int(os.environ.get("KESSAI_EXAMPLES") or 6)):
        dice = random.Random(f"{random_seed} {number}")
        feed = write_tables(tmp_path / str(number), draw(dice))
        tariff, reference = load_tariff(feed), Reference(feed)
        pairs = list(itertools.permutations(reference.stops, 2))
        for rider in ("adult", "senior"):
            for pair in pairs:
                trip = Trip(*pair, TIMES[0], TIMES[0] + 900)
                assert price_of(tariff, trip, rider) == reference.due([trip], rider)[0], number
            for _ in range(6):
                trips = draw_trips(dice, pairs)
                trips = [trip for trip in trips if reference.prices(trip, rider)]
                assert dues_of(tariff, trips, rider) == reference.due(trips, rider), number


def dues_of(tariff: Tariff, trips: list[Trip], rider: str) -> list[int]:
    journey, dues = Journey(), []
    for trip in trips:
        costs = tariff.price(ride_of(trip), rider, journey)
        journey = costs.journey
        dues.append(costs.due_minor)
    return dues


def draw_trips(dice: random.Random, pairs: list[tuple[str, str]]) -> list[Trip]:
    at, trips = TIMES[0], []
    for _ in range(dice.randint(2, 6)):
        at += dice.choice((0, 60, 900, 1799, 1801, 3600))
        length = dice.choice((300, 1200, 1800, 3600))
        trips.append(Trip(*dice.choice(pairs), at, at + length))
        at += length
    return trips
