"""Slots move while payments run (row B11): nothing is lost, nothing twice, wherever it crashes.

Random payments, holds and repeated requests while random slots move between four shards. In each
life the stores die together at a random commit, just before it or just after it; then all starts
again on what is there. Every answer is held against the first one, whichever shard gave it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from random import Random

import pytest

from server.domain.command import ACCEPTED, Command
from server.domain.hold import CaptureHold, PlaceHold, VoidHold
from server.identity.refusals import RequestIdReused
from server.ledger.account import Account
from server.ledger.chart import HOUSE_KINDS
from server.shards.placement import Moved
from server.shards.settlement_log import LogRow
from server.switch.refused import Unavailable
from tests.invariants.moving import (
    BUSY,
    CASH,
    MOVING,
    PAYERS,
    SHARDS,
    SHOPS,
    Life,
    life,
    opening,
    verify_all,
)
from tests.invariants.test_busy_payees import Fate
from tests.unit.server.domain.commands import EUR, capture, deposit, fresh_id, pay, place_hold, void
from tests.unit.server.shards.parts import Clock, Stores, open_reader

LIVES, STEPS, LIMIT_S = 5, 30, 150.0


class Customers:
    """Do things at random, and remember what they were told."""

    def __init__(self, dice: Random) -> None:
        self.dice = dice
        self.answers: dict[bytes, tuple[Command, int, LogRow]] = {}
        self.unknown: list[Command] = []
        self.balances: Counter[int] = Counter(dict.fromkeys(PAYERS, CASH))
        self.held: dict[bytes, PlaceHold] = {}

    async def submit(self, now: Life, command: Command) -> None:
        """Do it; without an answer it may or may not have happened."""
        try:
            shard, row = await now.settle(command)
        except Unavailable:
            self.unknown.append(command)
            return
        first = self.answers.setdefault(command.request_id, (command, shard, row))
        assert (shard, row) == first[1:], "another answer than the first time"

    async def ask_again(self, now: Life) -> None:
        """Learn what became of what nobody answered."""
        asked, self.unknown = self.unknown, []
        await asyncio.gather(*(self.submit(now, command) for command in asked))

    def invent(self) -> Command:
        """Think of something to do."""
        payer, payee = self.dice.choice(PAYERS), self.dice.choice([*SHOPS, *PAYERS])
        amount = self.dice.randint(1, 99)
        kind = self.dice.random()
        if self.held and kind < 0.25:
            hold = self.held.pop(self.dice.choice(list(self.held)))
            return capture(hold, self.dice.randint(1, hold.amount)) if kind < 0.15 else void(hold)
        if kind < 0.4 and payer != payee:
            hold = place_hold(payer, payee, amount, 0)
            self.held[hold.request_id] = hold
            return hold
        return pay(payer, payee, amount)

    async def step(self, now: Life) -> None:
        """Move a slot, do some things, repeat some, misuse an id."""
        if self.dice.random() < 0.6:
            now.move(self.dice.choice(MOVING), self.dice.randrange(SHARDS))
        done = [command for command, _, _ in self.answers.values()]
        again = self.dice.sample(done, min(len(done), 2))
        new = [self.invent() for _ in range(self.dice.randint(0, 6))]
        await asyncio.gather(*(self.submit(now, command) for command in (*new, *again)))
        if done:
            other = deposit(self.dice.choice(PAYERS), 1, request_id=again[0].request_id)
            with suppress(Unavailable), pytest.raises((RequestIdReused, Unavailable)):
                await now.settle(other)

    def expected(self) -> dict[int, int]:
        """Add up what everybody must have, by what was answered."""
        balances = Counter(self.balances)
        for command, _, row in self.answers.values():
            if row.decline == ACCEPTED and not isinstance(command, PlaceHold | VoidHold):
                balances[command.payer] -= command.amount
                balances[command.payee] += command.amount
        return {account: balances[account] for account in (*PAYERS, *SHOPS)}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("stores", ["sqlite", "postgresql", "mix"], indirect=True)
async def test_money_and_answers_stay_right_while_slots_move(
    stores: Stores, random_seed: int
) -> None:
    dice = Random(random_seed)
    customers, clock, crashes, moves = Customers(dice), Clock(), 0, 0
    async with asyncio.timeout(LIMIT_S):
        async with life(stores, clock) as first:
            for command in opening():
                assert (await first.shards.submit(command)).decline == ACCEPTED
        for _ in range(LIVES):
            fate = Fate(dice.randint(1, 90), dice.random() < 0.5)
            async with life(stores, clock, fate.governs) as now:
                await customers.ask_again(now)
                for _ in range(STEPS):
                    if fate.is_over:
                        break
                    await customers.step(now)
                moves += now.rebalance.tally.slots
            crashes += fate.is_over
            assert verify_all(stores).faults == []
        async with life(stores, clock) as last:
            await customers.ask_again(last)
            await last.moved()
            await last.merge.merge_account(BUSY, EUR, fresh_id())
            await last.depositor.idle(LIMIT_S)
            found = {account: await last.total(account) for account in (*PAYERS, *SHOPS)}
            for command, shard, row in list(customers.answers.values()):
                assert await last.settle(command) == (shard, row)
    assert found == customers.expected()
    assert customers.unknown == []
    assert crashes > LIVES // 3
    assert moves > LIVES // 2
    check_the_end(stores)


def check_the_end(stores: Stores) -> None:
    """Nothing is on its way, each account is once, and no money was made."""
    report = verify_all(stores)
    assert (report.faults, report.in_transit, report.slots_moving) == ([], 0, 0)
    accounts: list[Account] = []
    moves: list[Moved] = []
    for shard in range(SHARDS):
        reader = open_reader(stores, shard)
        accounts += reader.all_accounts()
        moves += reader.moved()
        reader.close()
    assert len({account.id for account in accounts}) == len(accounts)
    people = [account for account in accounts if account.code not in HOUSE_KINDS]
    assert sum(account.balance for account in people) == CASH * len(PAYERS)
    assert all(moved.is_clean for moved in moves)


def test_the_dice_capture_more_than_they_void() -> None:
    """What is invented is of every kind."""
    customers = Customers(Random(1))
    kinds = Counter(type(customers.invent()) for _ in range(500))
    assert kinds[CaptureHold] > 0
    assert kinds[VoidHold] > 0
    assert kinds[PlaceHold] > 0
