"""Journeys of many rides: a passenger at an exit does not wait for their price."""

from __future__ import annotations

import random
import time
from itertools import product

import pytest

from edge_agents.fares.journey import Journey, JourneyCosts
from edge_agents.fares.ride import Offer, Ride
from edge_agents.fares.transfers import TransferRules
from kessai.money import Money

HOUR_US = 3_600_000_000


@pytest.mark.timeout(20)
def test_a_long_journey_of_many_groups_is_priced_at_once() -> None:
    """The ways to price it grow with every ride, those that go on differently do not."""
    groups = [f"g{number}" for number in range(4)]
    dice = random.Random(0)
    rows = [
        {
            "from_leg_group_id": one,
            "to_leg_group_id": other,
            "transfer_count": "-1" if one == other else "",
            "fare_transfer_type": dice.choice("012"),
            "fare_product_id": dice.choice(("", "on", "off")),
        }
        for one, other in product(groups, groups)
        if dice.random() < 0.5
    ]
    offers = [Offer(Money(dice.randint(100, 1000), "EUR"), group) for group in groups]
    costs = JourneyCosts(TransferRules(rows), lambda _: offers, {"on": 50, "off": -40}.get)
    journey, began_s = Journey(), time.process_time()
    for hour in range(16):
        ride = Ride("a", "b", hour * HOUR_US + 1, hour * HOUR_US + 2)
        found = costs.add(journey, ride)
        assert found is not None
        journey = found.journey
    assert len(journey.rides) == 16
    assert time.process_time() - began_s < 5
