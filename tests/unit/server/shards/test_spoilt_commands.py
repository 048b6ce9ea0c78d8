"""A command that raises is declined alone: the others of its group are answered as without it."""

from __future__ import annotations

import asyncio
from dataclasses import fields, replace
from pathlib import Path
from types import NoneType

import pytest
import structlog

from kessai.v1 import decline_pb2 as d
from server.domain.arrival import arrival
from server.domain.command import ACCEPTED, Command
from server.shards.carry_out import CommandRefused
from server.shards.jobs import Arrivals, Delivered
from server.shards.router import Shards
from server.shards.settlement_log import LogRow
from tests.unit.server.domain.commands import (
    EUR,
    accounts_on,
    deposit,
    fresh_id,
    open_account,
    pay,
)
from tests.unit.server.shards.parts import (
    LIMIT_S,
    Stores,
    held_shard,
    open_shards,
    shards_in,
    verify_shards,
)
from tests.unit.server.shards.spoilt_commands import DECLINED, Drop, Spoilt, SpoiltArrival

ANN, SHOP = (account for account, _ in zip(accounts_on(0, 1), range(2), strict=False))
FAULT = d.DECLINE_REASON_SWITCH_FAULT


def spoilt(how: str) -> Spoilt:
    """A command that raises, with Ann and the shop in it."""
    return Spoilt(fresh_id(), bytes(32), ANN, SHOP, 1, EUR, b"", how)


def opening() -> list[Command]:
    """Ann has 1000."""
    return [open_account(ANN), open_account(SHOP, "merchant/shop"), deposit(ANN, 1000)]


async def test_a_document_that_is_dropped_is_gone_from_the_store(tmp_path: Path) -> None:
    """Alone in its group, and in one with what kept it; what is kept last is there."""

    def does(*hows: str) -> list[Command]:
        return [Drop(fresh_id(), bytes(32), ANN, SHOP, 1, EUR, b"", how) for how in hows]

    with shards_in(tmp_path) as shards:
        for command in opening():
            await shards.submit(command)
        for hows, is_there in (
            (["keep"], True), (["drop"], False), (["keep", "drop"], False),
            (["keep", "drop", "keep"], True), (["drop", "keep"], True), (["drop"], False),
        ):  # fmt: skip
            rows = await shards.submit_all(does(*hows))
            assert [row.decline for row in rows if isinstance(row, LogRow)] == [0] * len(hows)
            found = await shards.shard(0).read(lambda reader: reader.document(b"a ticket"))
            assert (found is not None) is is_there


@pytest.mark.parametrize("processes", [0, 1])
@pytest.mark.parametrize("how", DECLINED)
async def test_it_is_declined_alone_and_for_ever(tmp_path: Path, how: str, processes: int) -> None:
    """Also where it had half changed the books, also in a process of its own."""
    bad = spoilt(how)
    shards = open_shards(tmp_path, processes=processes)
    try:
        with structlog.testing.capture_logs() as logs:
            for command in opening():
                assert not (await shards.submit(command)).decline
            group = [pay(ANN, SHOP, 10), bad, pay(ANN, SHOP, 20), spoilt(how), pay(ANN, SHOP, 30)]
            rows = await shards.submit_all(group)
            assert [row.decline for row in rows if isinstance(row, LogRow)] == [
                ACCEPTED, FAULT, ACCEPTED, FAULT, ACCEPTED,
            ]  # fmt: skip
            assert await shards.submit(bad) == rows[1]
        if not processes:
            told = [line for line in logs if line["event"] == "a command failed"]
            assert len(told) >= 2
            assert all(line["exc_info"] and line["incident"] for line in told)
        assert await balances(shards) == (940, 60, None)
    finally:
        shards.close()
    report = verify_shards(tmp_path)
    assert (report.faults, report.rows, report.failed) == ([], 8, 2)


async def balances(shards: Shards) -> tuple[int | None, ...]:
    """What Ann, the shop, and an account that nobody should have opened hold."""
    found = [await shards.account(account) for account in (ANN, SHOP, 77)]
    return tuple(account.balance if account is not None else None for account in found)


@pytest.mark.parametrize("processes", [0, 1])
async def test_what_no_row_can_hold_is_refused_alone(tmp_path: Path, processes: int) -> None:
    honest = pay(ANN, SHOP, 10)
    unwritable = [
        replace(honest, **change)
        for change in (
            {"request_id": b""}, {"request_id": bytes(10_000)}, {"request_id": None},
            {"input_hash": b""}, {"payer": 2**63}, {"payee": -1}, {"payee": 2**64},
            {"amount": 2**63}, {"amount": -(2**64)}, {"ledger": 2**16}, {"ledger": -1},
            {"body": bytes(5_000_000)}, {"amount": None},
        )
    ]  # fmt: skip
    shards = open_shards(tmp_path, processes=processes)
    try:
        for command in opening():
            await shards.submit(command)
        outcomes = await asyncio.gather(
            *(shards.shard(0).submit(command) for command in (*unwritable, honest)),
            return_exceptions=True,
        )
        assert [type(outcome) for outcome in outcomes[:-1]] == [CommandRefused] * len(unwritable)
        assert isinstance(outcomes[-1], LogRow)
        assert outcomes[-1].decline == ACCEPTED
    finally:
        shards.close()
    assert verify_shards(tmp_path).faults == []


async def test_a_command_that_cannot_be_brought_over_is_not_in_the_others_way(
    tmp_path: Path,
) -> None:
    """Nor ends the process that writes."""
    shards = open_shards(tmp_path, processes=1)
    try:
        for command in opening():
            await shards.submit(command)
        stuck = replace(pay(ANN, SHOP, 1), wallet=lambda: "no word")  # type: ignore[arg-type]
        group = [pay(ANN, SHOP, 2), stuck, pay(ANN, SHOP, 3)]
        futures = [shards.shard(0).submit(command) for command in group]
        first, failed, last = await asyncio.gather(*futures, return_exceptions=True)
        assert isinstance(first, LogRow)
        assert isinstance(last, LogRow)
        assert isinstance(failed, Exception)
        assert (await shards.submit(pay(ANN, SHOP, 4))).decline == ACCEPTED
    finally:
        shards.close()
    assert verify_shards(tmp_path).faults == []


async def test_one_of_a_full_group_fails_alone_on_every_engine(stores: Stores) -> None:
    """What was in the queue as one group is halved until the culprit stands alone."""
    with held_shard(stores) as (shard, store), structlog.testing.capture_logs():
        store.let_go.set()
        for command in opening():
            await shard.submit(command)
        store.busy.clear()
        store.let_go.clear()
        gate = shard.submit(pay(ANN, SHOP, 1))
        assert await asyncio.to_thread(store.busy.wait, LIMIT_S)
        several = (pay(ANN, SHOP, 1), spoilt("half done"), pay(ANN, SHOP, 1))
        commands = [spoilt("commit") if n == 37 else pay(ANN, SHOP, 1) for n in range(60)]
        waiting = [shard.submit(command) for command in commands]
        together, arrivals = shard.submit(several), shard.submit(Arrivals(several[::-1]))
        store.let_go.set()
        async with asyncio.timeout(LIMIT_S):
            rows = await asyncio.gather(gate, *waiting)
            outcomes, quiet = await together, await arrivals
        assert [n for n, row in enumerate(rows[1:]) if row.decline] == [37]
        assert [row.decline for row in outcomes if isinstance(row, LogRow)] == [0, FAULT, 0]
        assert [getattr(row, "decline", 0) for row in quiet] == [0, FAULT, 0]
        account = await shard.read(lambda reader: reader.account(SHOP))
        assert account is not None
        assert account.balance == 62
    report = verify_shards(stores)
    assert (report.faults, report.failed) == ([], 2)


async def test_an_arrival_that_raises_arrives_once_the_fault_is_mended(tmp_path: Path) -> None:
    """Declined under its id it could never arrive; those beside it do at once."""
    near, far = next(accounts_on(0, 2)), next(accounts_on(1, 2))
    with shards_in(tmp_path, 2) as shards, structlog.testing.capture_logs():
        for command in (
            open_account(near),
            open_account(far, "merchant/shop"),
            deposit(near, 1000),
        ):
            await shards.submit(command)
        for amount in (10, 20, 30):
            await shards.submit(pay(near, far, amount))
        first, owed, last = [arrival(0, *debt) for debt in await shards.outbox(0, 10)]
        spoilt_one = SpoiltArrival(*(getattr(owed, field.name) for field in fields(owed)))
        outcomes = await shards.bring([first, spoilt_one, last])
        assert [type(outcome) for outcome in outcomes] == [NoneType, CommandRefused, NoneType]
        assert await shards.bring([owed]) == [None]
        account = await shards.account(far)
        assert account is not None
        assert account.balance == 60
        await shards.shard(0).submit(Delivered(2**40))
    report = verify_shards(tmp_path, 2)
    assert (report.faults, report.in_transit, report.failed) == ([], 0, 0)


async def test_a_declined_row_hides_nothing(tmp_path: Path) -> None:
    """Its row is chained: altered it is found; and it must not be a slot's move."""
    with shards_in(tmp_path) as shards, structlog.testing.capture_logs():
        for command in (*opening(), spoilt("decide")):
            await shards.submit(command)
    [place] = Stores(tmp_path).addresses(1)
    store = place.open_store()
    db = store._db  # type: ignore[attr-defined]
    db.execute("UPDATE log SET amount = 2 WHERE sequence = 4")
    store.close()
    assert verify_shards(tmp_path).faults == ["shard 0, log row 4: the hash chain is broken"]
