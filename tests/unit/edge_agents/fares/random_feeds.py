"""Feeds that nobody would write, drawn by dice: rules that overlap, contradict and leave gaps."""

from __future__ import annotations

import random

from tests.unit.edge_agents.fares.sample_feeds import CHAIN, RIDERS, TRANSFERS

AREAS, NETWORKS, GROUPS = ("in", "out", "far", ""), ("metro", "bus", ""), ("g", "h", "k", "")
PRODUCTS = ("p", "q", "r", "s")


def draw_legs(dice: random.Random) -> dict[str, str]:
    """A feed with Fares v2 and transfers."""
    stops = "".join(
        f"{dice.choice(AREAS[:3])},{stop}\n" for stop in "abcdef" if dice.random() < 0.9
    )
    more = f"{dice.choice(AREAS[:3])},{dice.choice('abcdef')}\n"
    columns = "leg_group_id,network_id,from_area_id,to_area_id,fare_product_id"
    has_priority = dice.random() < 0.5
    rows = {
        f"{dice.choice(NETWORKS)},{dice.choice(AREAS)},{dice.choice(AREAS)}"
        for _ in range(dice.randint(2, 7))
    }
    rules = [
        f"{dice.choice(GROUPS)},{row},{dice.choice(PRODUCTS)}"
        + f",{dice.choice(('', '0', '1', '5'))}" * has_priority
        for row in sorted(rows)
    ]
    groups = {rule.split(",")[0] for rule in rules} - {""}
    return CHAIN | {
        "stop_areas": f"area_id,stop_id\n{stops}{more}",
        "rider_categories": RIDERS,
        "fare_leg_rules": columns + ",rule_priority" * has_priority + "\n" + "\n".join(rules),
        "fare_products": draw_products(dice),
        "fare_transfer_rules": TRANSFERS + "".join(draw_transfers(dice, groups)),
    }


def draw_products(dice: random.Random) -> str:
    rows = [
        f"{product},{rider},{dice.randint(0, 500) / 100:.2f},EUR\n"
        for product in PRODUCTS
        for rider in {"": ("",), "2": ("adult", "child"), "3": ("", "child")}[
            dice.choice(("", "2", "3"))
        ]
    ]
    rows += [f"{name},,{dice.randint(-200, 200) / 100:.2f},EUR\n" for name in ("x", "y")]
    return "fare_product_id,rider_category_id,amount,currency\n" + "".join(rows)


def draw_transfers(dice: random.Random, groups: set[str]) -> list[str]:
    names = [*sorted(groups), ""]
    rows = []
    for _ in range(dice.randint(1, 6)):
        ends = dice.choice(names), dice.choice(names)
        count = dice.choice(("-1", "1", "2", "3")) if ends[0] == ends[1] else ""
        limit = dice.choice(("", "900", "1800", "3600", "7200"))
        kind = dice.choice("0123") if limit else ""
        rows.append(
            f"{ends[0]},{ends[1]},{count},{limit},{kind},{dice.choice('012')},"
            f"{dice.choice(('', 'x', 'y', 'p'))}\n"
        )
    return rows


def draw_zones(dice: random.Random) -> dict[str, str]:
    """A feed with Fares v1."""
    fares = "".join(
        f"{fare},{dice.randint(0, 500) / 100:.2f},EUR,1,{dice.choice(('', '0', '1', '2'))},"
        f"{dice.choice(('', '', 'a', 'b'))}\n"
        for fare in PRODUCTS
    )
    zones = ("", "1", "2", "3", "4")
    rules = "".join(
        f"{dice.choice(PRODUCTS[1:])},{dice.choice(('', 'R', 'S', 'T'))},{dice.choice(zones)},"
        f"{dice.choice(zones)},{dice.choice(zones)}\n"
        for _ in range(dice.randint(1, 9))
    )
    return CHAIN | {
        "fare_attributes": "fare_id,price,currency_type,payment_method,transfers,agency_id\n"
        + fares,
        "fare_rules": "fare_id,route_id,origin_id,destination_id,contains_id\n" + rules,
    }
