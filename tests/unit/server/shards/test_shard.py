"""One shard at work: groups, first answers for ever, the hash chain, times, failed commits."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from kessai.v1 import decline_pb2 as d
from server.domain.command import ACCEPTED, Command
from server.shards.jobs import Job
from server.shards.lane import LaneClosed
from server.shards.settlement_log import CHAIN_START, LogRow, RequestIdReused, RowTime
from server.shards.sqlite_store import SqliteStore
from server.shards.store import StoreUnavailable
from tests.unit.server.domain.commands import (
    EUR,
    NOW_US,
    accounts_on,
    capture,
    deposit,
    expire,
    fresh_id,
    open_account,
    pay,
    place_hold,
    withdraw,
)
from tests.unit.server.shards.parts import (
    LIMIT_S,
    Clock,
    Stores,
    held_shard,
    open_reader,
    shards_in,
    verify_shards,
)

ANN, SHOP = (account for account, _ in zip(accounts_on(0, 1), range(2), strict=False))
LONG_UNKNOWN_FIELD = b"\xfa\x07\xd0\x86\x03" + bytes(50_000)
OPENING: list[Command] = [
    open_account(ANN),
    open_account(SHOP, "merchant/shop"),
    deposit(ANN, 1000),
]


async def test_what_queues_up_is_one_commit(stores: Stores) -> None:
    """While one commit is under way a hundred commands wait; the next commit takes them all."""
    with held_shard(stores) as (shard, store):
        first = shard.submit(OPENING[0])
        assert await asyncio.to_thread(store.busy.wait, LIMIT_S)
        jobs: list[Job] = [*OPENING[1:], *(pay(ANN, SHOP, 15) for _ in range(98))]
        waiting = [shard.submit(job) for job in jobs]
        assert not first.done()
        store.let_go.set()
        async with asyncio.timeout(LIMIT_S):
            rows = await asyncio.gather(first, *waiting)
        assert store.group_sizes == [1, 100]
    # Each was decided on the books as the ones before left them: 66 times 15 is 990.
    declines = [row.decline for row in rows if isinstance(row, LogRow)]
    too_much = d.DECLINE_REASON_INSUFFICIENT_FUNDS
    assert declines == [ACCEPTED] * (3 + 66) + [too_much] * 32
    assert verify_shards(stores).faults == []


async def test_nothing_is_answered_before_it_is_committed(stores: Stores) -> None:
    with held_shard(stores) as (shard, store):
        answer = shard.submit(OPENING[0])
        assert await asyncio.to_thread(store.busy.wait, LIMIT_S)
        reader = open_reader(stores)
        assert reader.row(OPENING[0].request_id) is None
        assert not answer.done()
        store.let_go.set()
        async with asyncio.timeout(LIMIT_S):
            row = await answer
        assert reader.row(OPENING[0].request_id) == row
        reader.close()


async def test_the_first_answer_is_for_ever(stores: Stores) -> None:
    """At once, later, after a restart, and when by now it would be decided otherwise."""
    clock = Clock()
    early = pay(ANN, SHOP, 2000)
    with shards_in(stores, clock=clock) as shards:
        rows = [await shards.submit(command) for command in (*OPENING, early)]
        assert rows[-1].decline == d.DECLINE_REASON_INSUFFICIENT_FUNDS
        await shards.submit(deposit(ANN, 5000))
        assert [await shards.submit(command) for command in (*OPENING, early)] == rows
    clock.us += 10**12
    with shards_in(stores, clock=clock) as shards:
        assert [await shards.submit(command) for command in (*OPENING, early)] == rows
        account = await shards.account(ANN)
    assert account is not None
    assert account.balance == 6000
    assert verify_shards(stores).faults == []


async def test_twice_in_one_group_is_once(stores: Stores) -> None:
    with held_shard(stores) as (shard, store):
        first = [shard.submit(command) for command in OPENING]
        assert await asyncio.to_thread(store.busy.wait, LIMIT_S)
        payment = pay(ANN, SHOP, 10)
        other = replace(payment, input_hash=bytes(32))
        answers = [shard.submit(job) for job in [payment] * 50 + [other] + [payment] * 49]
        store.let_go.set()
        async with asyncio.timeout(LIMIT_S):
            await asyncio.gather(*first)
            rows = await asyncio.gather(*answers, return_exceptions=True)
    assert isinstance(rows.pop(50), RequestIdReused)
    assert len(set(rows)) == 1
    reader = open_reader(stores)
    assert (account := reader.account(SHOP)) is not None
    assert account.balance == 10
    reader.close()


async def test_several_commands_are_one_job(stores: Stores) -> None:
    """Each has an answer of its own, in order, wherever it is decided."""
    there = next(iter(accounts_on(1, 2)))
    here = next(iter(accounts_on(0, 2)))
    with shards_in(stores, 2) as shards:
        payment = deposit(here, 10)
        commands = [
            open_account(there), open_account(here), deposit(there, 7), payment,
            replace(payment, input_hash=bytes(32)), payment, withdraw(there, 8),
        ]  # fmt: skip
        outcomes = await shards.submit_all(commands)
        assert isinstance(outcomes[4], RequestIdReused)
        rows = [row for row in outcomes if isinstance(row, LogRow)]
        assert [row.request_id for row in rows] == [
            command.request_id for command in commands if command is not commands[4]
        ]
        assert [row.decline for row in rows] == [0] * 5 + [d.DECLINE_REASON_INSUFFICIENT_FUNDS]
        assert rows[3] == rows[4]
        brought = await shards.bring(commands)
        assert [brought[4].__class__, brought[6]] == [RequestIdReused, rows[-1]]
        assert [brought[i] for i in (0, 1, 2, 3, 5)] == [None] * 5
    lost = await shards.submit_all([deposit(there, 1), deposit(here, 2)])
    assert [type(outcome) for outcome in lost] == [LaneClosed] * 2
    assert verify_shards(stores, 2).faults == []


@pytest.mark.parametrize(
    "other",
    [
        lambda payment: pay(ANN, SHOP, payment.amount + 1, request_id=payment.request_id),
        lambda payment: withdraw(ANN, 10, request_id=payment.request_id),
        lambda payment: replace(withdraw(ANN, 10, request_id=payment.request_id),
                                input_hash=payment.input_hash),
    ],
    ids=["other amount", "other kind", "other kind, same hash"],
)  # fmt: skip
async def test_a_used_id_with_other_content_is_refused(stores: Stores, other: object) -> None:
    assert callable(other)
    with shards_in(stores) as shards:
        for command in OPENING:
            await shards.submit(command)
        payment = pay(ANN, SHOP, 10)
        row = await shards.submit(payment)
        with pytest.raises(RequestIdReused):
            await shards.submit(other(payment))
        assert await shards.submit(payment) == row
    assert verify_shards(stores).rows == 4


async def test_rows_are_chained(stores: Stores) -> None:
    """Each chain hash is over the one before and every column: computed here by hand."""
    with shards_in(stores) as shards:
        rows = [await shards.submit(command) for command in (*OPENING, pay(ANN, SHOP, 10))]
    before = CHAIN_START
    for row in rows:
        numbers = (
            b"\x02", row.decide_us.to_bytes(8, "big", signed=True),
            row.sequence.to_bytes(8, "big"), row.kind.to_bytes(2, "big"),
            row.payer.to_bytes(8, "big"), row.payee.to_bytes(8, "big"),
            row.amount.to_bytes(8, "big", signed=True), row.ledger.to_bytes(2, "big"),
            row.book_us.to_bytes(8, "big"), row.decline.to_bytes(2, "big"),
            len(row.body).to_bytes(4, "big"),
        )  # fmt: skip
        columns = (before, *numbers, row.request_id, row.input_hash, row.body)
        before = hashlib.sha256(b"".join(columns)).digest()
        assert row.chain_hash == before


async def test_booking_times_never_go_back(stores: Stores) -> None:
    clock = Clock()
    with shards_in(stores, clock=clock) as shards:
        first = await shards.submit(OPENING[0])
        clock.us -= 3_600_000_000
        second = await shards.submit(OPENING[1])
    with shards_in(stores, clock=clock) as shards:
        third = await shards.submit(OPENING[2])
    assert first.book_us == second.book_us == third.book_us


async def test_after_a_clock_that_ran_ahead_the_clock_as_it_is_decides(stores: Stores) -> None:
    """Booked is after what was booked ahead; payments and holds live by the clock."""
    clock, held = Clock(), place_hold(ANN, SHOP, 5, 60)
    with shards_in(stores, clock=clock) as shards:
        clock.us += 3 * 3_600_000_000
        ahead = [await shards.submit(command) for command in OPENING]
        assert (await shards.submit(pay(ANN, SHOP, 1))).decline == d.DECLINE_REASON_EXPIRED
        clock.us = NOW_US
        assert (await shards.submit(pay(ANN, SHOP, 2))).decline == ACCEPTED
        assert (await shards.submit(held)).decline == ACCEPTED
    with shards_in(stores, clock=clock) as shards:
        assert (await shards.submit(pay(ANN, SHOP, 3))).decline == ACCEPTED
        clock.us += 60_000_000 - 1
        assert (await shards.submit(expire(held))).decline == d.DECLINE_REASON_HOLD_NOT_PENDING
        clock.us += 1
        row = await shards.submit(expire(held))
    assert (row.decline, row.time) == (ACCEPTED, RowTime(ahead[-1].book_us, clock.us))
    assert verify_shards(stores).faults == []


async def test_a_group_that_cannot_be_written_leaves_no_trace(tmp_path: Path) -> None:
    """Not on the disk and not in memory; when there is room all goes on, without a gap."""
    with held_shard(tmp_path) as (shard, store):
        store.let_go.set()
        async with asyncio.timeout(LIMIT_S):
            for command in OPENING:
                await shard.submit(command)
            assert isinstance(store.store, SqliteStore)
            db = store.store._db
            used = db.pragma("page_count")
            db.pragma("max_page_count", used)
            refused = pay(ANN, SHOP, 500)
            refused = replace(refused, body=refused.body + LONG_UNKNOWN_FIELD)
            with pytest.raises(StoreUnavailable, match="full"):
                await shard.submit(refused)
            db.pragma("max_page_count", used + 1000)
            payment = pay(ANN, SHOP, 501)
            row = await shard.submit(payment)
        assert row is not None
        assert (row.decline, row.sequence) == (ACCEPTED, 4)
    reader = open_reader(tmp_path)
    assert reader.row(refused.request_id) is None
    reader.close()
    assert verify_shards(tmp_path).faults == []


async def test_a_hold_that_is_placed_and_captured_in_one_group(stores: Stores) -> None:
    """The capture sees the hold that no disk has seen yet."""
    with held_shard(stores) as (shard, store):
        first = [shard.submit(command) for command in OPENING]
        assert await asyncio.to_thread(store.busy.wait, LIMIT_S)
        held = place_hold(ANN, SHOP, 300, 60)
        waiting = [shard.submit(job) for job in (held, capture(held, 200), capture(held, 1))]
        store.let_go.set()
        async with asyncio.timeout(LIMIT_S):
            await asyncio.gather(*first)
            rows = await asyncio.gather(*waiting)
        assert len(store.group_sizes) <= 3
    declines = [row.decline for row in rows if row is not None]
    assert declines == [ACCEPTED, ACCEPTED, d.DECLINE_REASON_HOLD_NOT_PENDING]
    report = verify_shards(stores)
    assert report.faults == []


async def test_an_account_that_nobody_opened_is_asked_for_again(stores: Stores) -> None:
    """That it was not there is not remembered."""
    with shards_in(stores) as shards:
        row = await shards.submit(deposit(ANN, 10, EUR, fresh_id()))
        assert row.decline == d.DECLINE_REASON_PAYEE_ACCOUNT_UNKNOWN
        await shards.submit(open_account(ANN))
        row = await shards.submit(deposit(ANN, 10, EUR, fresh_id()))
        assert row.decline == ACCEPTED
