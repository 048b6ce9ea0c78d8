"""Fares v2: areas, networks, priorities, rider categories and media."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agents.fares.ride import Ride
from edge_agents.fares.tariff import NoSuchTrip, load_tariff
from kessai.complaint import Complaint
from tests.unit.edge_agents.fares.feeds import write_feed

AREAS = "area_id,stop_id\nin,a\nin,b\nout,c\nout,d\n"
RULES = "leg_group_id,network_id,from_area_id,to_area_id,fare_product_id\n"
PRODUCTS = "fare_product_id,fare_media_id,rider_category_id,amount,currency\n"
RIDERS = "rider_category_id,rider_category_name,is_default_fare_category\nadult,A,1\nchild,C,\n"


def feed(folder: Path, rules: str, products: str, header: str = RULES) -> Path:
    return write_feed(
        folder,
        stop_areas=AREAS,
        fare_leg_rules=header + rules,
        fare_products=PRODUCTS + products,
        rider_categories=RIDERS,
    )


def price(folder: Path, origin: str, destination: str, rider: str = "", media: str = "") -> int:
    tariff = load_tariff(folder, frozenset(media.split()))
    return tariff.fare(Ride(origin, destination), rider).minor


def test_areas_and_the_other_way_is_another_rule(tmp_path: Path) -> None:
    tables = feed(tmp_path, "1,,in,out,p\n", "p,,,2.00,EUR\n")
    assert price(tables, "a1", "d") == 200
    with pytest.raises(NoSuchTrip):
        price(tables, "d", "a")
    with pytest.raises(NoSuchTrip):
        price(tables, "a", "b")


def test_empty_is_what_no_other_rule_names(tmp_path: Path) -> None:
    tables = feed(tmp_path, "1,,in,,p\n2,,,in,q\n", "p,,,1.00,EUR\nq,,,2.00,EUR\n")
    assert price(tables, "a", "d") == 100  # "" to: any but "in", which rule 2 names
    assert price(tables, "c", "b") == 200
    with pytest.raises(NoSuchTrip):
        price(tables, "a", "b")


def test_with_priorities_empty_is_everything_and_the_highest_counts(tmp_path: Path) -> None:
    header = "leg_group_id,network_id,from_area_id,to_area_id,fare_product_id,rule_priority\n"
    tables = feed(
        tmp_path, "1,,,,base,\n2,,in,in,high,5\n", "base,,,1.00,EUR\nhigh,,,3.00,EUR\n", header
    )
    assert price(tables, "c", "d") == 100
    assert price(tables, "a", "b") == 300


def test_networks_are_those_of_the_routes_between(tmp_path: Path) -> None:
    tables = feed(tmp_path, "1,rail,,,p\n2,ferry,,,q\n", "p,,,1.00,EUR\nq,,,0.50,EUR\n")
    assert price(tables, "a", "d") == 100
    with pytest.raises(NoSuchTrip):
        price(tables, "a", "x")


def test_riders_pay_their_own_product_or_the_default(tmp_path: Path) -> None:
    products = "p,,adult,2.00,EUR\np,,child,1.00,EUR\nq,,adult,3.00,EUR\n"
    tables = feed(tmp_path, "1,,in,out,p\n2,,out,in,q\n", products)
    assert price(tables, "a", "d", "adult") == 200
    assert price(tables, "a", "d", "child") == 100
    assert price(tables, "d", "a", "child") == 300  # no reduction here
    assert price(tables, "a", "d", "giraffe") == 200


def test_media_are_those_that_are_sold(tmp_path: Path) -> None:
    tables = feed(tmp_path, "1,,,,p\n", "p,paper,,2.00,EUR\np,phone,,1.50,EUR\n")
    assert price(tables, "a", "d", media="paper") == 200
    assert price(tables, "a", "d", media="phone") == 150
    assert price(tables, "a", "d") == 150
    with pytest.raises(Complaint, match="one currency, and not in none"):
        price(tables, "a", "d", media="card")
