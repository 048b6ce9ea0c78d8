"""Where slots are and were, from what the shards say; and how they are spread evenly."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from kessai.account_number import SLOT_COUNT, slot_of
from server.shards.placement import Moved, ShardPlace, SlotMap
from server.shards.routes import Routes
from tests.unit.server.domain.commands import MINUTE_US, NOW_US, accounts_on, fresh_id

ANN = next(accounts_on(0, 2))
FIRST = SlotMap.even(2)
SLOT = 7


def left(target: int, generation: int) -> Moved:
    """What a shard says that let the slot go."""
    return Moved(SLOT, target, generation, b"m" * 16, NOW_US, 0)


def came(target: int, generation: int) -> Moved:
    """What a shard says to which the slot came."""
    return Moved(SLOT, target, generation, b"m" * 16, NOW_US, 1)


def test_a_slot_on_its_way_is_held_back_until_it_came() -> None:
    routes = Routes(FIRST)
    routes.learn(0, [left(1, 1)])
    assert routes.on_its_way(SLOT) == (0, left(1, 1))
    assert (routes.is_held_back(SLOT), routes.slot_home(SLOT)) == (True, 1)
    assert routes.unclean() == []
    routes.learn(1, [came(1, 1)])
    assert (routes.is_held_back(SLOT), routes.all_on_their_way()) == (False, [])
    assert routes.unclean() == [(0, left(1, 1))]


def test_there_and_back_again() -> None:
    """The newest move counts, whichever shard is asked first."""
    for order in (1, -1):
        routes = Routes(FIRST)
        for shard, said in [(0, came(0, 2)), (1, left(0, 2))][::order]:
            routes.learn(shard, [said])
        assert (routes.slot_home(SLOT), routes.is_held_back(SLOT)) == (0, False)
        assert routes.former_homes(SLOT, fresh_id()) == [1]


def test_a_former_home_is_asked_only_for_ids_that_may_be_there() -> None:
    routes = Routes(FIRST)
    assert not routes.needs_care(SLOT, fresh_id())
    routes.learn(0, [left(1, 1)])
    routes.learn(1, [came(1, 1)])
    old, new = fresh_id(NOW_US - MINUTE_US), fresh_id(NOW_US + 2 * MINUTE_US)
    assert (routes.needs_care(SLOT, old), routes.needs_care(SLOT, new)) == (True, False)
    assert (routes.former_homes(SLOT, old), routes.former_homes(SLOT, new)) == ([0], [])


async def test_who_waits_is_let_go() -> None:
    routes = Routes(FIRST)
    routes.hold_back(SLOT)
    waiting = asyncio.create_task(routes.settled(SLOT))
    await asyncio.sleep(0)
    assert not waiting.done()
    routes.let_go(SLOT)
    async with asyncio.timeout(60):
        await waiting


def test_a_place_learns_what_came_and_went() -> None:
    place, old, new = ShardPlace(0, FIRST), fresh_id(NOW_US), fresh_id(NOW_US + 2 * MINUTE_US)
    slot_of_ann = slot_of(ANN)
    assert place.is_here(ANN)
    assert not place.may_be_elsewhere(ANN, old, 0)
    place.know(Moved(s, 1, 1, b"", 0, 0) for s in range(SLOT_COUNT))
    assert not place.is_here(ANN)
    assert place.may_be_elsewhere(ANN, new, 9)
    assert place.next_generation(slot_of_ann) == 2
    place.know([Moved(slot_of_ann, 0, 2, b"", NOW_US, 1)])
    assert [place.may_be_elsewhere(ANN, old, sought) for sought in (0, 1, 2)] == [True, True, False]
    assert not place.may_be_elsewhere(ANN, new, 0)


def test_homes_are_known_by_one_move_at_a_time_or_when_all_were_asked() -> None:
    """Several moves that another switch made may have led to homes that nobody here knows."""
    routes = Routes(FIRST)
    assert routes.knows_homes(SLOT)
    routes.learn(1, [came(1, 1)])
    assert routes.knows_homes(SLOT)
    routes.learn(0, [came(0, 3)])
    assert not routes.knows_homes(SLOT)
    known = routes.generations()
    routes.learn(2, [came(0, 3)])
    routes.know_homes(known)
    assert routes.knows_homes(SLOT)
    assert sorted(routes.former_homes(SLOT, fresh_id(NOW_US))) == [1, 2]


@pytest.mark.parametrize("before", [1, 2, 3, 7])
@pytest.mark.parametrize("after", [1, 2, 4, 8, 1000])
def test_slots_are_spread_evenly_and_few_move(before: int, after: int) -> None:
    slots = SlotMap.even(before)
    if after < before:
        return
    even = slots.evened(after)
    counts = Counter(even.shard_of_slot)
    assert max(counts.values()) - min(counts.values()) <= 1
    assert len(counts) == after
    moved = sum(a != b for a, b in zip(slots.shard_of_slot, even.shard_of_slot, strict=True))
    assert moved == (Counter(slots.shard_of_slot) - counts).total()
    assert even.evened(after) == even
