"""Fares v1: routes, origin and destination zones, zones that are passed; and what is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agents.fares.ride import Ride
from edge_agents.fares.tariff import NoSuchTrip, load_tariff
from kessai.money import Money
from tests.unit.edge_agents.fares.feeds import write_feed

ATTRIBUTES = "fare_id,price,currency_type\n"
RULES = "fare_id,route_id,origin_id,destination_id,contains_id\n"


def price(folder: Path, origin: str, destination: str) -> int:
    return load_tariff(folder).fare(Ride(origin, destination)).minor


def test_zones_of_origin_and_destination(tmp_path: Path) -> None:
    feed = write_feed(
        tmp_path,
        fare_attributes=ATTRIBUTES + "near,1.5,EUR\nfar,4,EUR\n",
        fare_rules=RULES + "near,,2,2,\nfar,,1,3,\n",
    )
    assert price(feed, "b", "c") == 150
    assert price(feed, "a", "d") == 400
    assert price(feed, "a1", "d") == 400  # a platform is its station
    with pytest.raises(NoSuchTrip):
        price(feed, "d", "a")  # the tables have one way only
    with pytest.raises(NoSuchTrip):
        price(feed, "a", "b")
    with pytest.raises(NoSuchTrip):
        price(feed, "a", "nowhere")


def test_the_route_must_be_one_that_goes_there(tmp_path: Path) -> None:
    feed = write_feed(
        tmp_path,
        fare_attributes=ATTRIBUTES + "line,2,EUR\nother,1,EUR\n",
        fare_rules=RULES + "line,L,,,\nother,M,,,\n",
    )
    assert price(feed, "a", "d") == 200
    with pytest.raises(NoSuchTrip):
        price(feed, "a", "x")


def test_all_zones_that_are_passed_are_those_of_the_fare(tmp_path: Path) -> None:
    feed = write_feed(
        tmp_path,
        fare_attributes=ATTRIBUTES + "two,2,EUR\nthree,3,EUR\n",
        fare_rules=RULES + "two,,,,1\ntwo,,,,2\nthree,,,,1\nthree,,,,2\nthree,,,,3\n",
    )
    assert price(feed, "a", "c") == 200
    assert price(feed, "d", "a") == 300
    with pytest.raises(NoSuchTrip):
        price(feed, "b", "c")


def test_a_fare_without_rules_is_for_every_ride_and_the_cheapest_counts(tmp_path: Path) -> None:
    feed = write_feed(
        tmp_path,
        fare_attributes=ATTRIBUTES + "any,3.00,EUR\nnear,1.50,EUR\n",
        fare_rules=RULES + "near,,2,2,\n",
    )
    assert price(feed, "a", "x") == 300
    assert price(feed, "b", "c") == 150


def test_digits_are_those_of_the_currency(tmp_path: Path) -> None:
    yen = write_feed(tmp_path / "yen", fare_attributes=ATTRIBUTES + "any,230,JPY\n")
    assert load_tariff(yen).fare(Ride("a", "b")) == Money(230, "JPY")
    dinar = write_feed(tmp_path / "dinar", fare_attributes=ATTRIBUTES + "any,0.5,KWD\n")
    assert load_tariff(dinar).fare(Ride("a", "b")) == Money(500, "KWD")
