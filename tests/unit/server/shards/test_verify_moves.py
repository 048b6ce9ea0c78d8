"""Verification sees whatever does not fit between the two sides of a slot's move."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import apsw
import pytest

from kessai.v1.shard_pb2 import SlotMove
from server.shards.placement import ShardPlace
from server.shards.relocate import Depart
from server.shards.replay import Replay
from server.shards.verify_moves import moves_are_as_stored, moves_fit, on_their_way
from tests.invariants.moving import MOVING, PAYERS, SHARDS, SLOTS, life, opening, verify_all
from tests.running import shard_path
from tests.unit.server.domain.commands import fresh_id, pay, place_hold
from tests.unit.server.shards.parts import Clock, Stores, open_reader

SLOT, SOURCE, TARGET = MOVING[0], 0, 3


@pytest.fixture
async def stores(tmp_path: Path) -> Stores:
    """Give shards on files between which a slot has moved."""
    stores = Stores(tmp_path)
    async with life(stores, Clock(), works=False) as now:
        for command in (*opening(), pay(PAYERS[0], PAYERS[5], 7)):
            await now.shards.submit(command)
        await now.shards.submit(place_hold(PAYERS[0], PAYERS[5], 7, 0))
        await now.rebalance._mover.move(SLOT, TARGET)
    return stores


def replays(stores: Stores) -> list[Replay]:
    """Decide all logs again."""
    found = []
    for shard in range(SHARDS):
        replay, reader = Replay(ShardPlace(shard, SLOTS)), open_reader(stores, shard)
        assert [fault for row in reader.log() for fault in replay.feed(row)] == []
        reader.close()
        found.append(replay)
    return found


def test_a_slot_that_moved_fits(stores: Stores) -> None:
    assert verify_all(stores).faults == []
    assert moves_fit(replays(stores)) == ([], [])
    assert on_their_way(replays(stores)) == []


def otherwise(move: SlotMove) -> SlotMove:
    """The same move with one unit of money more."""
    other = SlotMove()
    other.CopyFrom(move)
    other.accounts[0].credits_posted += 1
    return other


def test_what_came_otherwise_than_it_left_is_a_fault(stores: Stores) -> None:
    sides = replays(stores)
    [(row_id, left)] = sides[SOURCE].left.items()
    sides[SOURCE].left[row_id] = replace(left, move=otherwise(left.move))
    assert "did not come as it left" in moves_fit(sides)[0][0]
    sides[SOURCE].left[row_id] = replace(left, digests={})
    assert "other entries" in moves_fit(sides)[0][0]


def test_what_came_and_never_left_is_suspect(stores: Stores) -> None:
    """It stands, because the source has got no such row since."""
    sides = replays(stores)
    sides[SOURCE].left.clear()
    faults, [suspect] = moves_fit(sides)
    assert faults == []
    readers = [open_reader(stores, shard) for shard in range(SHARDS)]
    assert suspect.stands(readers)
    earlier = replace(suspect, read_to={SOURCE: 1})
    assert not earlier.stands(readers)
    for reader in readers:
        reader.close()


def test_what_came_to_the_wrong_shard_is_a_fault(stores: Stores) -> None:
    sides = replays(stores)
    sides[2].came = sides[TARGET].came
    assert any("wrong shard" in fault for fault in moves_fit(sides)[0])


async def test_a_slot_on_its_way_is_no_fault(stores: Stores) -> None:
    async with life(stores, Clock(), works=False) as now:
        await now.shards.shard(TARGET).submit(Depart(fresh_id(), SLOT, SOURCE, 2))
    report = verify_all(stores)
    assert (report.faults, report.slots_moving) == ([], 1)


def test_an_account_left_behind_in_the_log_is_a_fault(stores: Stores) -> None:
    """As a move that forgot it would leave it."""
    sides = replays(stores)
    sides[SOURCE].books.accounts[PAYERS[0]] = sides[TARGET].books.accounts[PAYERS[0]]
    reader = open_reader(stores, SOURCE)
    [fault] = moves_are_as_stored(reader, sides[SOURCE])
    reader.close()
    assert f"account {PAYERS[0]} was left behind" in fault


def test_an_account_left_behind_in_the_file_is_a_fault(stores: Stores) -> None:
    faults = tampered(
        stores,
        SOURCE,
        lambda db: db.execute(
            "INSERT INTO account VALUES (?,978,20,2,'wallet/ann',0,0,0,0,0,0)", (PAYERS[0],)
        ),
    )
    assert any("the log gives" in fault for fault in faults)


TAMPERED: dict[str, tuple[int, str, str]] = {
    "an entry changed": (TARGET, "UPDATE entry SET amount = amount + 1 WHERE code = 2", "entries"),
    "an entry missing": (TARGET, "DELETE FROM entry WHERE sequence = 1", "entries"),
    "a hold missing": (TARGET, "DELETE FROM hold", "the log gives"),
    "a slot that did not come": (TARGET, "DELETE FROM moved", "slot 5: stored None"),
    "a slot that did not go": (SOURCE, "UPDATE moved SET shard = 0", "slot 5: stored"),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_what_was_tampered_with_is_seen(stores: Stores, what: str) -> None:
    shard, sql, says = TAMPERED[what]
    faults = tampered(stores, shard, lambda db: db.execute(sql))
    assert any(says in fault for fault in faults), faults


def tampered(stores: Stores, shard: int, change: Callable[[apsw.Connection], object]) -> list[str]:
    """Change a file, and verify."""
    db = apsw.Connection(str(shard_path(stores.folder, shard)))
    change(db)
    db.close()
    return verify_all(stores).faults
