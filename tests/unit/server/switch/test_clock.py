"""What a jump of the clock does to holds, batches and request ids; and who may confirm it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import grpc.aio
import pytest

from kessai.v1 import clock_pb2 as pb
from kessai.v1.clock_pb2_grpc import ClockServiceStub
from server.domain.directory import DenyKind
from server.ledger.transfer import HoldState
from server.shards.clock_watch import ClockWatch
from server.shards.router import Shards
from server.switch.clock import SwitchClock
from server.switch.hold_expiry import HoldExpiry
from server.switch.refused import Unavailable
from server.switch.settle import Settle
from tests.unit.server.domain.commands import (
    accounts_on,
    deposit,
    fresh_id,
    open_account,
    pay,
    place_hold,
)
from tests.unit.server.shards.parts import Clock, open_shards, verify_shards
from tests.unit.server.switch.in_process import LIMIT_S, fresh_text, now_us, reason_of, served

if TYPE_CHECKING:
    from kessai.v1.clock_pb2_grpc import ClockServiceAsyncStub

HOURS_US = 3 * 3_600_000_000
ANN, SHOP = (account for account, _ in zip(accounts_on(0, 2), range(2), strict=False))
FAR = next(accounts_on(1, 2))


@dataclass
class Shifted:
    """The real time, and so much more."""

    ahead_us: int = 0

    def __call__(self) -> int:
        return now_us() + self.ahead_us


@dataclass
class Books:
    """Two shards that are booked by a watched clock; Ann has 10.00, some of it held a minute."""

    wall: Clock
    elapsed: Clock
    watch: ClockWatch
    shards: Shards
    settle: Settle

    def go_on(self, elapsed_us: int, jump_us: int = 0) -> None:
        """Let time go by, and the wall clock jump."""
        self.elapsed.us += elapsed_us
        self.wall.us += elapsed_us + jump_us

    async def held(self) -> list[HoldState]:
        """How the holds of the first shard stand."""
        reads = self.shards.shard(0).read
        return [hold.state for hold in await reads(lambda reader: list(reader.all_holds()))]


@asynccontextmanager
async def books(folder: Path, processes: int = 0) -> AsyncIterator[Books]:
    """Open them, written here or by a process of their own."""
    wall, elapsed = Clock(), Clock(0)
    watch = ClockWatch(wall, elapsed)
    shards = open_shards(folder, 2, watch.booking_us, processes=processes)
    for command in (
        open_account(ANN), open_account(SHOP, "merchant/shop"), open_account(FAR, "merchant/far"),
        deposit(ANN, 1000), place_hold(ANN, SHOP, 5, 60),
    ):  # fmt: skip
        await shards.submit(command)
    try:
        yield Books(wall, elapsed, watch, shards, Settle(shards, watch.booking_us))
    finally:
        shards.close()
    assert verify_shards(folder, 2).faults == []


@pytest.mark.parametrize("processes", [0, 1])
async def test_no_hold_is_released_by_a_clock_that_jumped(tmp_path: Path, processes: int) -> None:
    """Not before an operator says that it is right; and not at all if it comes back."""
    async with books(tmp_path, processes) as at:
        expiry = HoldExpiry(at.shards, at.watch.booking_us)
        at.go_on(0, HOURS_US)
        with pytest.raises(Exception, match="jumped ahead by 3:00:00"):
            await expiry.release_due()
        assert await at.held() == [HoldState.PENDING]
        at.go_on(0, -HOURS_US)
        await expiry.release_due()
        assert await at.held() == [HoldState.PENDING]
        at.go_on(0, HOURS_US)
        at.watch.look()
        assert at.watch.confirm(at.wall.us)
        await expiry.release_due()
        assert await at.held() == [HoldState.EXPIRED]


@pytest.mark.parametrize("processes", [0, 1])
async def test_every_command_is_refused_and_none_is_lost(tmp_path: Path, processes: int) -> None:
    """Alone, in groups, to one shard or the other; then they are settled as if nothing was."""
    async with books(tmp_path, processes) as at:
        commands = [pay(ANN, payee, 1) for payee in (SHOP, FAR, SHOP)]
        at.go_on(0, HOURS_US)
        for command in commands:
            with pytest.raises(Unavailable, match="jumped ahead by 3:00:00; nothing is booked"):
                await at.settle(command)
        together = [(command, False) for command in commands]
        outcomes = [got async for group in at.settle.in_groups(together) for got in group]
        assert [position for position, _ in outcomes] == [0, 1, 2]
        assert all(isinstance(outcome, Unavailable) for _, outcome in outcomes)
        at.go_on(0, -HOURS_US)
        for command in commands:
            _, row = await at.settle(command)
            assert (row.decline, row.decide_us) == (0, at.wall.us)


async def test_claims_are_forgotten_also_after_a_clock_that_went_back(tmp_path: Path) -> None:
    """Else the memory of request ids grows until the clock has caught up."""
    async with books(tmp_path) as at:
        at.go_on(0, HOURS_US)
        at.watch.look()
        at.watch.confirm(at.wall.us)
        await at.settle(deposit(ANN, 1, request_id=fresh_id(at.wall.us)))
        at.go_on(0, -HOURS_US)
        at.watch.look()
        at.watch.confirm(at.wall.us)
        for _ in range(12):
            at.go_on(61_000_000)
            await at.settle(deposit(ANN, 1, request_id=fresh_id(at.wall.us)))
        assert sum(map(len, at.settle._claims._generations)) <= 4


async def test_books_ahead_of_the_clock_are_told_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with books(tmp_path) as at:
        at.wall.us -= HOURS_US
        clock = SwitchClock(ClockWatch(at.wall, at.elapsed), at.shards)
        await clock.start()
        await clock.close()
    assert capsys.readouterr().out.count("3:00:00 ahead of the switch's clock") == 1


async def test_a_jump_of_years_refuses_no_certificate_and_forgets_no_denial(
    tmp_path: Path,
) -> None:
    """Else terminals would never hear of what was denied, and the operator could not look."""
    clock = Shifted()
    async with served(tmp_path / "data", clock=clock) as switch, switch.line() as line:
        denied = switch.switch._deny_list
        denied.deny(DenyKind.TICKET, b"a ticket", clock() + HOURS_US)
        for years in (3, -3):
            clock.ahead_us = years * 365 * 24 * 3_600_000_000
            stub: ClockServiceAsyncStub = ClockServiceStub(line)
            state = (await stub.GetClockState(pb.GetClockStateRequest(), timeout=LIMIT_S)).state
            assert state.jump_us
            entries, _ = denied.page_after(0, "shop")
            assert [entry.id for entry in entries] == [b"a ticket"]


async def test_only_an_operator_confirms_and_only_once(tmp_path: Path) -> None:
    """A repeated call after the next jump does not confirm that one, too."""
    clock = Shifted()
    async with served(tmp_path / "data", clock=clock) as switch, switch.line() as line:
        stub: ClockServiceAsyncStub = ClockServiceStub(line)
        async with switch.line("agent/shop/till-1") as till:
            with pytest.raises(grpc.aio.AioRpcError) as error:
                await ClockServiceStub(till).ConfirmClock(pb.ConfirmClockRequest(), timeout=LIMIT_S)
        assert reason_of(error.value) == "CALLER_NOT_PERMITTED"
        state = (await stub.GetClockState(pb.GetClockStateRequest(), timeout=LIMIT_S)).state
        assert (state.jump_us, len(state.shards)) == (0, 2)
        clock.ahead_us = HOURS_US
        state = (await stub.GetClockState(pb.GetClockStateRequest(), timeout=LIMIT_S)).state
        assert state.jump_us == pytest.approx(HOURS_US, abs=1_000_000)
        wrong = pb.ConfirmClockRequest(request_id=fresh_text(), wall_time=state.wall_time)
        wrong.wall_time.seconds -= 3 * 3600
        for bad in (wrong, pb.ConfirmClockRequest(request_id=fresh_text())):
            with pytest.raises(grpc.aio.AioRpcError) as error:
                await stub.ConfirmClock(bad, timeout=LIMIT_S)
            assert reason_of(error.value) == "FIELD_INVALID wall_time"
        good = pb.ConfirmClockRequest(request_id=fresh_text(), wall_time=state.wall_time)
        assert (await stub.ConfirmClock(good, timeout=LIMIT_S)).state.jump_us == 0
        clock.ahead_us = 0
        for _ in range(2):
            answer = await stub.ConfirmClock(good, timeout=LIMIT_S)
            assert answer.state.jump_us == pytest.approx(-HOURS_US, abs=1_000_000)
