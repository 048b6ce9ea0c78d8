"""The backlog: a payment over which the switch fails keeps no other back, nor is asked for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from edge_agents import backlog
from edge_agents.events import Events
from edge_agents.journal import Journal, PaymentState
from edge_agents.payment_request import PendingPayment
from edge_agents.settlements import Outcome, Settlements, Verdict
from edge_agents.uplink import Uplink
from kessai.v1.payment_pb2 import PaymentResult, SettlePaymentRequest, SettlePaymentResponse
from tests.unit.edge_agents.parties import (
    NOW_US,
    SWITCH_KEY,
    WAIT_S,
    Context,
    Switch,
    make_pending,
    make_sealed,
    serve,
)

HOUR_US = 3_600_000_000


class Poisoned(Switch):
    """A switch that fails over one payment: alone, and with the whole stream that brings it."""

    poison = ""

    async def SettlePayment(
        self, request: SettlePaymentRequest, context: Context
    ) -> SettlePaymentResponse:
        await self._fail_over(request, context)
        return await super().SettlePayment(request, context)

    async def _one_of_batch(self, payment: SettlePaymentRequest, context: Context) -> PaymentResult:
        await self._fail_over(payment, context)
        return await super()._one_of_batch(payment, context)

    async def _fail_over(self, request: SettlePaymentRequest, context: Context) -> None:
        if request.request_id == self.poison:
            self.received.append(request.SerializeToString(deterministic=True))
            await context.abort(grpc.StatusCode.INTERNAL, "value out of range")

    def times_asked(self) -> int:
        """How often it was asked about the poisoned one."""
        ids = [SettlePaymentRequest.FromString(raw).request_id for raw in self.received]
        return ids.count(self.poison)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path)
    yield journal
    journal.close()


def queue(journal: Journal, count: int, order: str = "till-1") -> list[PendingPayment]:
    """Put authorised payments into a journal."""
    pendings = [make_pending(f"{order}-{number}") for number in range(count)]
    for pending in pendings:
        journal.request(pending)
        journal.authorize(pending.request_id, make_sealed(pending))
    return pendings


async def until_aside(journal: Journal) -> None:
    """Wait until the only payment is set aside."""
    while True:
        if not journal.in_state(PaymentState.AUTHORIZED)[0].is_waited_for:
            return
        await asyncio.sleep(0.02)


class Till:
    """The loop of a till that takes its queue up, and what it told."""

    def __init__(self, journal: Journal, channel: grpc.aio.Channel, now_us: int = NOW_US) -> None:
        uplink = Uplink(channel, bytes, attempt_s=0.5, first_pause_s=0.05)
        key, events = SWITCH_KEY.public_key(), Events(lambda: now_us)
        self._settlements = Settlements(journal, uplink, key, events, lambda: now_us)
        self.told: list[tuple[PendingPayment, Verdict]] = []
        self._changed = asyncio.Event()

    def _on_outcome(self, pending: PendingPayment, outcome: Outcome) -> None:
        self.told.append((pending, outcome.verdict))
        self._changed.set()

    async def settle(self, pending: PendingPayment) -> Verdict:
        """Settle a payment at the till while the loop runs."""
        return (await self._settlements.settle(pending, make_sealed(pending), 1.0)).verdict

    async def run_until_told(self, count: int) -> None:
        """Run until so many outcomes were told."""
        loop = asyncio.create_task(self._settlements.take_up(self._on_outcome, 1.0))
        try:
            async with asyncio.timeout(WAIT_S):
                while len(self.told) < count:
                    self._changed.clear()
                    await self._changed.wait()
        finally:
            loop.cancel()


async def test_a_poisoned_payment_keeps_no_honest_one_back(journal: Journal) -> None:
    """It stands first, and fails the stream that brings all eleven."""
    switch, pendings = Poisoned(), queue(journal, 11)
    switch.poison = pendings[0].payment_id
    async with serve(switch) as channel:
        till = Till(journal, channel)
        await till.run_until_told(10)
    assert {verdict for _, verdict in till.told} == {Verdict.SETTLED}
    assert [e.pending for e in journal.in_state(PaymentState.AUTHORIZED)] == [pendings[0]]


async def test_it_is_set_aside_and_greets_nobody(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After three failures it is asked about once an hour, also with honest ones coming in."""
    monkeypatch.setattr("edge_agents.settlements.FIRST_PAUSE_S", 0.05)
    monkeypatch.setattr("edge_agents.settlements.LONGEST_PAUSE_S", 0.05)
    switch, (poisoned,) = Poisoned(), queue(journal, 1)
    switch.poison = poisoned.payment_id
    assert journal.in_state(PaymentState.AUTHORIZED)[0].is_waited_for
    async with serve(switch) as channel:
        till = Till(journal, channel)
        running = asyncio.create_task(till.run_until_told(1))
        async with asyncio.timeout(WAIT_S):
            await until_aside(journal)
        assert switch.times_asked() == backlog.FAILURES
        (honest,) = queue(journal, 1, "honest")
        assert await till.settle(honest) is Verdict.SETTLED
        running.cancel()
    assert switch.times_asked() == backlog.FAILURES
    (aside,) = journal.in_state(PaymentState.AUTHORIZED)
    assert "value out of range" in aside.note


async def test_it_ends_when_its_time_is_over_and_the_switch_never_had_it(journal: Journal) -> None:
    """Then no answer to it can come any more."""
    switch, (poisoned,) = Poisoned(), queue(journal, 1)
    switch.poison = poisoned.payment_id
    async with serve(switch) as channel:
        till = Till(journal, channel, NOW_US + HOUR_US)
        await till.run_until_told(1)
    assert till.told == [(poisoned, Verdict.NOT_TAKEN)]
    assert journal.in_state(PaymentState.ABANDONED)[0].pending == poisoned


async def test_it_does_not_end_while_the_switch_cannot_tell(journal: Journal) -> None:
    """Its time is over, but what became of it is unknown: one that was settled is found."""
    switch, pendings = Poisoned(), queue(journal, 2)
    switch.poison = pendings[0].payment_id
    switch.find_plan = [grpc.StatusCode.INTERNAL]
    async with serve(switch) as channel:
        till = Till(journal, channel, NOW_US + HOUR_US)
        await till.run_until_told(2)
    assert [verdict for _, verdict in till.told] == [Verdict.SETTLED, Verdict.NOT_TAKEN]
