"""Shards that processes of their own write: the same answers, and an end with the switch."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from kessai.account_number import slot_of
from kessai.complaint import Complaint
from kessai.v1 import decline_pb2 as d
from server.domain.arrival import arrival
from server.domain.command import ACCEPTED, Command
from server.shards import opening
from server.shards.jobs import Delivered
from server.shards.lane import LaneClosed
from server.shards.placement import SlotMap
from server.shards.relocate import SlotMoved
from server.shards.remote_shard import EXIT_WRITER_LOST, RemoteShard, WriterProcess
from server.shards.settlement_log import LogRow, RequestIdReused
from server.switch.slot_move import SlotMover
from tests.running import RunningSwitch
from tests.unit.server.domain.commands import (
    NOW_US,
    accounts_on,
    deposit,
    fresh_id,
    open_account,
    pay,
)
from tests.unit.server.shards.parts import (
    LIMIT_S,
    Clock,
    Stores,
    make_files,
    open_shards,
    verify_shards,
)

SHARDS, PROCESSES = 3, 2
ANN, SHOP = (next(iter(accounts_on(shard, SHARDS))) for shard in (0, 1))
OPENING: list[Command] = [open_account(ANN), open_account(SHOP, "merchant/shop"), deposit(ANN, 100)]


async def test_ctrl_c_at_the_start_is_no_crash(tmp_path: Path) -> None:
    """A terminal sends it to both; the writer, still loading, goes on until its switch ends."""
    writer = WriterProcess("writer", Clock(), lambda _: None, lambda *_: None)
    try:
        writer._process.send_signal(signal.SIGINT)
        [address] = Stores(tmp_path).make(1)
        writer.open(address, SlotMap.even(1))
    finally:
        writer.close()
    assert writer._process.returncode == 0


async def test_what_is_written_elsewhere_is_answered_here(tmp_path: Path) -> None:
    """Rows, refusals, times, debts and reads are those that a thread here would give."""
    clock, owing = Clock(), list[int]()
    written: list[tuple[int, list[int]]] = []

    def on_written(shard: int, rows: Sequence[LogRow]) -> None:
        written.append((shard, [row.sequence for row in rows]))

    shards = open_shards(tmp_path, SHARDS, clock, owing.append, on_written, PROCESSES)
    try:
        assert isinstance(shards.shard(2), RemoteShard)
        rows = [await shards.submit(command) for command in OPENING]
        assert [row.decline for row in rows] == [ACCEPTED] * 3
        clock.us += 7
        payment = pay(ANN, SHOP, 60)
        first = await shards.submit(payment)
        assert (first.request_id, first.body, first.book_us) == (
            payment.request_id, payment.body, NOW_US + 7,
        )  # fmt: skip
        assert owing == [0]
        assert written == [(0, [1]), (1, [1]), (0, [2]), (0, [3])]
        again, other, poor = await shards.submit_all(
            [payment, replace(payment, input_hash=bytes(32)), pay(ANN, SHOP, 41)]
        )
        assert (again, type(other)) == (first, RequestIdReused)
        assert isinstance(poor, LogRow)
        assert poor.decline == d.DECLINE_REASON_INSUFFICIENT_FUNDS
        with pytest.raises(RequestIdReused):
            await shards.submit(replace(payment, input_hash=bytes(32)))
        account = await shards.account(ANN)
        assert account is not None
        assert account.balance == 40
        assert [row.payee for row in await shards.outbox(0, 9)] == [SHOP]
        await shards.shard(0).submit(Delivered(first.sequence))
        assert await shards.outbox(0, 9) == []
    finally:
        shards.close()
    with pytest.raises(LaneClosed):
        await shards.submit(payment)


async def test_of_arrivals_only_what_is_wrong_comes_back(tmp_path: Path) -> None:
    written: list[int] = []
    shards = open_shards(
        tmp_path, SHARDS, on_written=lambda shard, _: written.append(shard), processes=PROCESSES
    )
    try:
        for command in (*OPENING, pay(ANN, SHOP, 60)):
            await shards.submit(command)
        del written[:]
        [debt] = await shards.outbox(0, 9)
        coming = arrival(0, *debt)
        for _ in range(2):
            outcomes = await shards.bring([coming, replace(coming, input_hash=bytes(32))])
            assert [type(outcome) for outcome in outcomes] == [type(None), RequestIdReused]
        account = await shards.account(SHOP)
        assert account is not None
        assert (account.balance, written) == (60, [])
    finally:
        shards.close()


async def test_many_at_once_are_answered_in_order(tmp_path: Path) -> None:
    shards = open_shards(tmp_path, SHARDS, processes=PROCESSES)
    try:
        for command in OPENING:
            await shards.submit(command)
        commands = [deposit((ANN, SHOP)[n % 2], n + 1) for n in range(300)]
        async with asyncio.timeout(LIMIT_S):
            rows = await asyncio.gather(*(shards.submit(command) for command in commands))
        assert [row.request_id for row in rows] == [command.request_id for command in commands]
    finally:
        shards.close()
    report = verify_shards(tmp_path, SHARDS)
    assert (report.rows, report.faults) == (303, [])


async def test_a_slot_moves_from_one_process_to_another(tmp_path: Path) -> None:
    """Its account is paid where it is now, and the shard that it left says that it is gone."""
    clock = Clock()
    shards = open_shards(tmp_path, SHARDS, clock, processes=PROCESSES)
    try:
        for command in OPENING:
            await shards.submit(command)
        first, move_id = await shards.submit(deposit(ANN, 1)), fresh_id()
        await SlotMover(shards, lambda: move_id).move(slot_of(ANN), 1)
        assert shards.routes.slot_home(slot_of(ANN)) == 1
        with pytest.raises(SlotMoved):
            await shards.shard(0).submit(deposit(ANN, 2))
        paid = await shards.submit(pay(ANN, SHOP, 60))
        assert (first.decline, paid.decline) == (ACCEPTED, ACCEPTED)
        account = await shards.account(ANN)
        assert account is not None
        assert account.balance == 41
    finally:
        shards.close()
    report = verify_shards(tmp_path, SHARDS)
    assert report.faults == []


def test_a_missing_shard_is_a_complaint_and_leaves_no_process(tmp_path: Path) -> None:
    make_files(tmp_path, SHARDS)
    places = Stores(tmp_path).addresses(SHARDS)
    places[1].remove()
    before = children_of(os.getpid())
    with pytest.raises(Complaint, match=r"0001\.db"):
        opening.open_shards(
            places, SlotMap.even(SHARDS), Clock(), lambda shard: None, processes=PROCESSES
        )
    assert children_of(os.getpid()) == before


@pytest.fixture
def switch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunningSwitch:
    """Give a switch with a process that writes its shards."""
    monkeypatch.setenv("KESSAI_SHARD_PROCESSES", "1")
    return RunningSwitch.start(tmp_path / "data", SHARDS)


def test_signals_to_all_processes_end_the_switch_cleanly(switch: RunningSwitch) -> None:
    """A terminal or a service manager sends them to the writer too, which must not die of them."""
    account = switch.open_account("wallet/ann", 1, cash=500)
    writer = writer_of(switch)
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(writer, number)
    assert switch.balance(account) == 500
    switch.stop()
    wait_until_gone(writer)
    switch.verify()


@pytest.mark.parametrize("is_idle", [False, True])
def test_a_switch_without_its_writer_ends_in_one_line(switch: RunningSwitch, is_idle: bool) -> None:
    """At once, also if nobody pays. What was acknowledged is there when it is started again."""
    account = switch.open_account("wallet/ann", 1, cash=500)
    os.kill(writer_of(switch), signal.SIGKILL)
    if not is_idle:
        with pytest.raises(Exception, match="UNAVAILABLE"):
            switch.open_account("wallet/bob", 2)
    assert switch.process.wait(LIMIT_S) == EXIT_WRITER_LOST
    log = (switch.folder / "serve.log").read_text()
    assert log.count("the process that writes the shards ended") == 1
    assert "Traceback" not in log
    switch.restart()
    assert switch.balance(account) == 500
    switch.stop()
    switch.verify()


def test_the_next_switch_begins_when_the_last_writer_has_ended(switch: RunningSwitch) -> None:
    account = switch.open_account("wallet/ann", 1, cash=500)
    writer = writer_of(switch)
    os.kill(writer, signal.SIGSTOP)
    switch.kill()
    try:
        with pytest.raises(RuntimeError, match="already running"):
            switch.restart()
    finally:
        os.kill(writer, signal.SIGCONT)
    wait_until_gone(writer)
    switch.restart()
    assert switch.balance(account) == 500
    switch.stop()


def writer_of(switch: RunningSwitch) -> int:
    """Find the process that a switch started."""
    [writer] = children_of(switch.process.pid)
    return writer


def children_of(pid: int) -> list[int]:
    """List the processes that a process has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def wait_until_gone(pid: int) -> None:
    """Wait until a process that is not our child has ended."""
    deadline = time.monotonic() + LIMIT_S
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
