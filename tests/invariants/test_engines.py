"""What any engine of the account store must do: random commands against a model in plain memory.

The model knows no SQL, no groups, no shards' books and no restarts: balances, what is held and what
is owed, as dictionaries. Each engine is asked the same through `Shard`: in groups, repeated, after
restarts, and where an engine allows it through two switches at once. After every step each account
is compared, at the end every log is decided again. An engine that is new is added to `ENGINES`.
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
import tempfile
from collections import deque
from collections.abc import Awaitable
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from server.domain.arrival import arrival
from server.domain.command import ACCEPTED, Command
from server.domain.hold import PlaceHold
from server.ledger.account import Account
from server.shards.jobs import Delivered
from server.shards.placement import SlotMap
from server.shards.router import Shards
from server.shards.settlement_log import LogRow, RequestIdReused
from server.shards.store import BookedEntry
from tests.invariants.engine_model import Model
from tests.postgres import PostgresServer, postgres_server
from tests.unit.server.domain.commands import (
    accounts_on,
    capture,
    deposit,
    expire,
    open_account,
    pay,
    place_hold,
    void,
    withdraw,
)
from tests.unit.server.shards.parts import Clock, Stores, open_shards, verify_shards

__all__ = ["postgres_server"]

SHARDS, LIMIT_S = 2, 20.0
ENGINES = ("sqlite", "postgresql", "mix")
ACCOUNTS = [
    a for n in range(SHARDS) for a, _ in zip(accounts_on(n, SHARDS), range(2), strict=False)
]
UNKNOWN = [next(accounts_on(n, SHARDS, 90_000_000)) for n in range(SHARDS)]

Answer = TypeVar("Answer")

anyone = st.sampled_from([*ACCOUNTS, *UNKNOWN])
amounts = st.integers(0, 300)
commands = st.one_of(
    st.builds(open_account, st.sampled_from(ACCOUNTS)),
    st.builds(deposit, anyone, amounts),
    st.builds(withdraw, anyone, amounts),
    st.builds(pay, anyone, anyone, amounts),
    st.builds(place_hold, anyone, anyone, amounts, st.integers(0, 3)),
)


class Engine(RuleBasedStateMachine):
    """The shards of one engine, and the model beside them; `switches` serve in turn."""

    urls: tuple[str, ...] = ("",)
    switch_count = 1

    @initialize()
    def begin(self) -> None:
        self.stores = Stores(Path(tempfile.mkdtemp()), self.urls, secrets.token_hex(8))
        self.clock = Clock()
        self.slots = SlotMap.even(SHARDS)
        self.model = Model(self.slots)
        self.done: dict[bytes, tuple[Command, LogRow]] = {}
        self.holds: list[PlaceHold] = []
        self.runner = asyncio.Runner()
        self.switches = deque(self.open() for _ in range(self.switch_count))
        self.perform([open_account(ACCOUNTS[0]), deposit(ACCOUNTS[0], 1000)])

    def open(self) -> Shards:
        return open_shards(self.stores, SHARDS, self.clock)

    def next_switch(self) -> Shards:
        self.switches.rotate()
        return self.switches[0]

    def run(self, work: Awaitable[Answer]) -> Answer:
        async def wait() -> Answer:
            async with asyncio.timeout(LIMIT_S):
                return await work

        return self.runner.run(wait())

    def perform(self, group: list[Command]) -> None:
        """Submit a group at once; each is declined or done as the model says."""
        shards = self.next_switch()

        async def submit() -> list[LogRow]:
            return await asyncio.gather(*(shards.submit(command) for command in group))

        for command, row in zip(group, self.run(submit()), strict=True):
            if command.request_id in self.done:
                assert self.done[command.request_id] == (command, row)
                continue
            self.done[command.request_id] = command, row
            assert row.decline == self.model.do(command, self.clock.us), command
            if isinstance(command, PlaceHold):
                self.holds.append(command)

    @rule(group=st.lists(commands, min_size=1, max_size=6))
    def commands_come_in(self, group: list[Command]) -> None:
        self.perform(group)

    @precondition(lambda self: self.holds)
    @rule(data=st.data(), amount=st.integers(0, 300))
    def holds_are_finished(self, data: st.DataObject, amount: int) -> None:
        """Also those that were declined, and several times."""
        ends = [lambda hold: capture(hold, amount), void, expire]
        chosen = data.draw(
            st.lists(st.tuples(st.sampled_from(ends), st.sampled_from(self.holds)), max_size=4)
        )
        self.perform([end(hold) for end, hold in chosen])

    @rule(data=st.data())
    def anything_is_sent_again(self, data: st.DataObject) -> None:
        self.perform(
            data.draw(
                st.lists(st.sampled_from([done for done, _ in self.done.values()]), max_size=6)
            )
        )

    @rule(data=st.data())
    def an_id_is_used_for_something_else(self, data: st.DataObject) -> None:
        command = data.draw(st.sampled_from([done for done, _ in self.done.values()]))
        other = deposit(command.home(), 999_999, request_id=command.request_id)
        with pytest.raises(RequestIdReused):
            self.run(self.next_switch().submit(other))

    @rule(shard=st.integers(0, SHARDS - 1), ticked_off=st.booleans())
    def what_is_owed_arrives(self, shard: int, ticked_off: bool) -> None:
        """In order; if it is not ticked off it comes again, and changes nothing."""
        shards = self.next_switch()

        async def deliver() -> list[LogRow]:
            debts = await shards.outbox(shard, 100)
            rows = [await shards.submit(arrival(shard, *debt)) for debt in debts]
            if debts and ticked_off:
                await shards.shard(shard).submit(Delivered(debts[-1].log_sequence))
            return rows

        for row in self.run(deliver()):
            assert row.decline == ACCEPTED
            if row.request_id not in self.model.arrived:
                self.model.arrived.add(row.request_id)
                self.model.arrive(shard)

    @rule(seconds=st.integers(-2, 2))
    def time_goes_by(self, seconds: int) -> None:
        """Or back, as that of a clock that ran ahead and was put right: it decides as it is."""
        self.clock.us += seconds * 1_000_000

    @rule()
    def a_switch_starts_again(self) -> None:
        self.switches[0].close()
        self.switches[0] = self.open()

    @invariant()
    def everybody_has_what_the_model_says(self) -> None:
        shards = self.switches[0]

        async def look() -> list[tuple[Account | None, list[BookedEntry]]]:
            return [await shards.statement(account, 0, 5) for account in ACCOUNTS]

        for number, (account, entries) in zip(ACCOUNTS, self.run(look()), strict=True):
            assert (account is not None) == (number in self.model.balances)
            if account is not None:
                balance = self.model.balances[number]
                assert account.balance == balance
                assert account.available == balance - self.model.held(number)
                assert [entry.balance for entry in entries[:1]] in ([], [balance])
                newest = range(account.sequence, max(account.sequence - 5, 0), -1)
                assert [entry.sequence for entry in entries] == list(newest)

    def teardown(self) -> None:
        if not hasattr(self, "switches"):
            return
        for shards in self.switches:
            shards.close()
        self.runner.close()
        report = verify_shards(self.stores, SHARDS)
        assert report.faults == []
        assert report.in_transit == sum(map(len, self.model.owed.values()))
        self.stores.remove()
        shutil.rmtree(self.stores.folder)


@pytest.mark.timeout(400)  # a failure is made as small as can be before it is told
@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_does_what_the_model_does(engine: str, request: pytest.FixtureRequest) -> None:
    """Two switches serve PostgreSQL; a file is served by one."""

    class Chosen(Engine):
        pass

    if engine != "sqlite":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        Chosen.urls = (server.url,) if engine == "postgresql" else (server.url, "")
    if engine == "postgresql":
        Chosen.switch_count = 2
    few = settings(max_examples=12, stateful_step_count=20)
    run_state_machine_as_test(Chosen, settings=few)
