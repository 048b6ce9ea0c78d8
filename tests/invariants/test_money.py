"""Money is conserved and nothing happens twice, whatever comes in whatever order (rules 1, 2, 4).

Random commands on four shards on real files, in groups, with deposits that stop half way, restarts,
repeated requests and clocks that move. After every step the books are looked at from outside.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections import Counter
from collections.abc import Awaitable
from pathlib import Path
from typing import TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from server.domain.arrival import arrival, arrival_id
from server.domain.command import ACCEPTED, Command
from server.domain.hold import PlaceHold
from server.ledger.account import Account, AccountFlag
from server.shards.jobs import Delivered
from server.shards.placement import ShardPlace, SlotMap
from server.shards.replay import Replay
from server.shards.router import Shards
from server.shards.settlement_log import LogRow, RequestIdReused
from server.switch.hold_expiry import HoldExpiry
from tests.placing import shard_of
from tests.unit.server.domain.commands import (
    EUR,
    JPY,
    accounts_on,
    capture,
    deposit,
    open_account,
    pay,
    place_hold,
    void,
    withdraw,
)
from tests.unit.server.shards.parts import Clock, open_shards, verify_shards

SHARDS = 4
EUROS = [next(accounts_on(shard, SHARDS)) for shard in (0, 1, 2, 3, 0)]
EUROS[4] = next(accounts_on(0, SHARDS, EUROS[0] % 10**8 + 1))
YEN = next(accounts_on(2, SHARDS, EUROS[2] % 10**8 + 1))
UNKNOWN = next(accounts_on(3, SHARDS, EUROS[3] % 10**8 + 1))
Answer = TypeVar("Answer")

ours = st.sampled_from(EUROS)
anyone = st.sampled_from([*EUROS, YEN, UNKNOWN])
amounts = st.integers(0, 400)
commands = st.one_of(
    st.builds(pay, ours, anyone, amounts),
    st.builds(pay, ours, anyone, amounts),
    st.builds(deposit, anyone, st.integers(1, 1000)),
    st.builds(withdraw, anyone, amounts),
    st.builds(place_hold, ours, anyone, amounts, st.integers(0, 3)),
)


class MoneyMachine(RuleBasedStateMachine):
    """Four shards; the depositor's steps are rules, so that it may stop after any of them."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="kessai-money-"))
        self.runner = asyncio.Runner()
        self.clock = Clock()
        self.done: dict[bytes, tuple[Command, LogRow]] = {}
        self.holds: list[PlaceHold] = []
        self.shards = self.open()
        self.perform([open_account(account) for account in EUROS])
        self.perform([open_account(YEN, ledger=JPY), *(deposit(a, 1000) for a in EUROS)])

    def open(self) -> Shards:
        return open_shards(self.folder, SHARDS, self.clock)

    def run(self, work: Awaitable[Answer]) -> Answer:
        async def wait() -> Answer:
            async with asyncio.timeout(60):
                return await work

        return self.runner.run(wait())

    def perform(self, group: list[Command]) -> None:
        """Submit a group at once, and hold every answer against the first one."""

        async def submit() -> list[LogRow]:
            return await asyncio.gather(*(self.shards.submit(command) for command in group))

        for command, row in zip(group, self.run(submit()), strict=True):
            assert self.done.setdefault(command.request_id, (command, row)) == (command, row)
            if isinstance(command, PlaceHold) and row.decline == ACCEPTED:
                self.holds.append(command)

    @rule(group=st.lists(commands, min_size=1, max_size=6))
    def commands_come_in(self, group: list[Command]) -> None:
        self.perform(group)

    @precondition(lambda self: self.holds)
    @rule(data=st.data(), amount=st.integers(1, 400))
    def a_hold_is_finished(self, data: st.DataObject, amount: int) -> None:
        hold = data.draw(st.sampled_from(self.holds))
        self.perform([data.draw(st.sampled_from([capture(hold, amount), void(hold)]))])

    @rule(data=st.data())
    def anything_is_sent_again(self, data: st.DataObject) -> None:
        """Old requests in any order, several times, in one group: the first answers."""
        self.perform(
            data.draw(
                st.lists(st.sampled_from([done for done, _ in self.done.values()]), max_size=6)
            )
        )

    @rule(data=st.data(), account=ours)
    def an_id_is_used_for_something_else(self, data: st.DataObject, account: int) -> None:
        command = data.draw(st.sampled_from([done for done, _ in self.done.values()]))
        other = deposit(account, 999_999, request_id=command.request_id)
        if self.shards.home_of(account) is not self.shards.home_of(command.home()):
            return
        try:
            self.run(self.shards.submit(other))
        except RequestIdReused:
            return
        raise AssertionError("the same id was taken for something else")

    @rule(shard=st.integers(0, SHARDS - 1), count=st.integers(1, 4), ticked_off=st.booleans())
    def deposits_go_on(self, shard: int, count: int, ticked_off: bool) -> None:
        """And may stop between an arrival and its being ticked off."""

        async def deliver() -> None:
            debts = await self.shards.outbox(shard, count)
            for debt in debts:
                row = await self.shards.submit(arrival(shard, *debt))
                assert row.decline == ACCEPTED
            if debts and ticked_off:
                await self.shards.shard(shard).submit(Delivered(debts[-1].log_sequence))

        self.run(deliver())

    @rule(seconds=st.integers(-5, 5))
    def the_clock_moves(self, seconds: int) -> None:
        self.clock.us += seconds * 1_000_000
        self.run(HoldExpiry(self.shards, self.clock).release_due())

    @rule()
    def it_starts_again(self) -> None:
        self.shards.close()
        self.shards = self.open()

    def accounts(self) -> list[Account]:
        async def read() -> list[Account]:
            found: list[Account] = []
            for shard in range(SHARDS):
                found += await self.shards.shard(shard).read(lambda r: list(r.all_accounts()))
            return found

        return self.run(read())

    async def in_transit(self) -> dict[int, int]:
        """What the outboxes owe and has not arrived yet, by currency."""
        owed: Counter[int] = Counter()
        for shard in range(SHARDS):
            for debt in await self.shards.outbox(shard, 10_000):
                if await self.shards.find(arrival_id(debt.request_id)) is None:
                    owed[debt.ledger] += debt.amount
        return dict(owed)

    @invariant()
    def debits_equal_credits_and_transit_equals_the_outboxes(self) -> None:
        totals: Counter[int] = Counter()
        transit: Counter[int] = Counter()
        for account in self.accounts():
            totals[account.ledger] += account.balance
            if account.code == 3:
                transit[account.ledger] += account.balance
        assert not any(totals.values())
        owed = self.run(self.in_transit())
        assert {ledger: amount for ledger, amount in transit.items() if amount} == owed

    @invariant()
    def nobody_has_less_than_nothing(self) -> None:
        for account in self.accounts():
            if account.flags & AccountFlag.DEBITS_MUST_NOT_EXCEED_CREDITS:
                assert account.available >= 0
            assert min(account.debits_pending, account.credits_pending) >= 0

    def teardown(self) -> None:
        """Decide the logs again: the books must be the same, to the last counter."""
        if not hasattr(self, "shards"):
            return
        stored = self.accounts()
        logs = [
            self.run(self.shards.shard(shard).read(lambda reader: list(reader.log())))
            for shard in range(SHARDS)
        ]
        self.shards.close()
        self.runner.close()
        rebuilt: list[Account] = []
        for shard, log in enumerate(logs):
            replay = Replay(ShardPlace(shard, SlotMap.even(SHARDS)))
            assert [fault for row in log for fault in replay.feed(row)] == []
            rebuilt += sorted(replay.books.accounts.values(), key=lambda account: account.id)
        assert rebuilt == stored
        assert verify_shards(self.folder, SHARDS).faults == []
        shutil.rmtree(self.folder)


MoneyMachine.TestCase.settings = settings(max_examples=15, stateful_step_count=25)
TestMoneyIsConserved = MoneyMachine.TestCase


def test_the_accounts_are_where_they_should_be() -> None:
    """Two on one shard, the others each on another."""
    slots = SlotMap.even(SHARDS)
    assert [shard_of(slots, account) for account in EUROS] == [0, 1, 2, 3, 0]
    assert len({*EUROS, YEN, UNKNOWN}) == 7
    assert EUR != JPY
