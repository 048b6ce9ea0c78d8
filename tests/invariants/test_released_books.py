"""Books that releases left behind: they open, verify and serve with today's code, for ever."""

from __future__ import annotations

import asyncio
import json
import os
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kessai.v1.payment_pb2 import PAYMENT_OUTCOME_SETTLED
from server.bootstrap import Switch
from server.domain.command import CommandKind
from server.identity.authority import Authority
from server.ledger.transfer import HoldState
from server.shards.books_file import read_books
from server.shards.verify import Report, verify
from tests.released import make
from tests.released.cast import LODGER, counter_in, purchase
from tests.unit.server.domain.commands import fresh_id
from tests.unit.server.shards.parts import Clock
from tests.unit.server.switch.in_process import CONFIG, DOMAIN

LIMIT_S = 20.0
RELEASED = sorted(path.stem for path in make.FOLDER.glob("*.json"))
KINDS = {
    "schema_2": (
        "OPEN_ACCOUNT", "DEPOSIT_CASH", "WITHDRAW_CASH", "SETTLE_PAYMENT", "ARRIVE", "PLACE_HOLD",
        "CAPTURE_HOLD", "VOID_HOLD", "EXPIRE_HOLD", "OPEN_AUXILIARY", "MERGE_AUXILIARY",
        "REDEEM_TICKET", "REFUND_TICKET", "REVOKE_TICKET", "SETTLE_BILL", "MOVE_OUT", "MOVE_IN",
    ),
}  # fmt: skip


@dataclass
class Released:
    """An archive, unpacked, and what must be in it."""

    name: str
    folder: Path
    said: dict[str, Any]

    @property
    def end_us(self) -> int:
        """When its switch was stopped."""
        return int(self.said["end_us"])


@pytest.fixture(params=RELEASED)
def released(request: pytest.FixtureRequest, tmp_path: Path) -> Released:
    """Each released folder in turn."""
    folder = tmp_path / "data"
    with tarfile.open(make.FOLDER / f"{request.param}.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    said = json.loads((make.FOLDER / f"{request.param}.json").read_text())
    return Released(request.param, folder, said)


def verified(folder: Path) -> Report:
    """Verify the books of a folder."""
    books = read_books(folder)
    return verify(lambda: [at.open_reader() for at in books.addresses(folder)], books.slots)


def test_released_books_verify_and_say_what_they_said(released: Released) -> None:
    """Opened for reading only: balances, rows, holds and hashes are as they were left."""
    assert verified(released.folder).faults == []
    assert make.contents(released.folder, released.end_us) == released.said


def test_every_kind_of_its_release_is_in_it(released: Released) -> None:
    assert set(released.said["kinds"]) == set(KINDS[released.name])


def test_the_story_tells_every_kind_of_today(tmp_path: Path) -> None:
    """And so does each archive that is made of it."""
    end_us = make.fill(tmp_path / "data")
    assert verified(tmp_path / "data").faults == []
    told = make.contents(tmp_path / "data", end_us)["kinds"]
    assert set(told) == {kind.name for kind in CommandKind}


async def test_a_switch_serves_on_released_books(released: Released, tmp_path: Path) -> None:
    """Payments are settled, what was owed arrives, what was overdue ends; and all verifies."""
    clock = Clock(released.end_us + 1_000_000)
    Authority.create(released.folder / "identity", tmp_path / "offline", DOMAIN, clock)
    counter = counter_in(released.folder, known=True)
    counter.clock.us = clock.us
    ids = [fresh_id(clock.us) for _ in range(2)]
    messages = [
        purchase(counter, ids[0], 21),
        purchase(counter, ids[1], 22, "kiosk", LODGER),
    ]
    counter.directory.close()
    switch = Switch(released.folder, CONFIG, clock, os.urandom)
    await switch.start()
    async with asyncio.timeout(LIMIT_S):
        for request_id, message, merchant in zip(ids, messages, ("shop", "kiosk"), strict=True):
            settled = await switch._purchases.settle(message, request_id, merchant, "till-1")
            assert counter.read(settled).outcome == PAYMENT_OUTCOME_SETTLED
        await switch._depositor.idle(LIMIT_S)
        await switch._holds.release_due()
        assert await pending(switch) < sum(shard["pending"] for shard in released.said["shards"])
    await switch.stop()
    report = verified(released.folder)
    assert (report.faults, report.in_transit) == ([], 0)
    assert report.rows > sum(shard["rows"] for shard in released.said["shards"])


async def pending(switch: Switch) -> int:
    """How many holds are pending."""
    shards = [switch._shards.shard(number) for number in range(len(switch._shards))]
    holds = [await shard.read(lambda reader: list(reader.all_holds())) for shard in shards]
    return sum(hold.state is HoldState.PENDING for found in holds for hold in found)
