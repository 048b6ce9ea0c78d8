"""Settlements: only a verified receipt is an outcome, and what is open is taken up again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_agents.events import Events
from edge_agents.journal import Journal, PaymentState
from edge_agents.payment_request import PendingPayment
from edge_agents.settlements import Outcome, Settlements, Verdict
from edge_agents.uplink import Uplink
from kessai.v1 import decline_pb2
from kessai.v1.envelope_pb2 import Signed
from tests.unit.edge_agents.parties import (
    NOW_US,
    SWITCH_KEY,
    WAIT_S,
    Step,
    Switch,
    make_pending,
    make_receipt,
    make_sealed,
    serve,
    sign_receipt,
)

Answer = Callable[[PendingPayment], Signed]


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path)
    yield journal
    journal.close()


def authorize(journal: Journal, order_id: str = "till-1-000001") -> PendingPayment:
    pending = make_pending(order_id)
    journal.request(pending)
    journal.authorize(pending.request_id, make_sealed(pending))
    return pending


def make_settlements(journal: Journal, channel: grpc.aio.Channel) -> Settlements:
    uplink = Uplink(channel, bytes, attempt_s=0.5, first_pause_s=0.05)
    return Settlements(
        journal, uplink, SWITCH_KEY.public_key(), Events(lambda: NOW_US), lambda: NOW_US
    )


async def settle(journal: Journal, pending: PendingPayment, *plan: Step) -> Outcome:
    sealed = journal.in_state(PaymentState.AUTHORIZED)[0].sealed
    assert sealed is not None
    async with serve(Switch(*plan)) as channel:
        return await make_settlements(journal, channel).settle(pending, sealed, 1.0)


async def test_a_receipt_is_on_disk_before_it_is_told(journal: Journal) -> None:
    pending = authorize(journal)
    outcome = await settle(journal, pending)
    assert outcome.verdict is Verdict.SETTLED
    assert [e.receipt for e in journal.in_state(PaymentState.SETTLED)] == [outcome.signed]


async def test_a_decline_is_a_result(journal: Journal) -> None:
    pending = authorize(journal)
    reason = decline_pb2.DECLINE_REASON_INSUFFICIENT_FUNDS
    receipt = sign_receipt(make_receipt(pending, reason))
    outcome = await settle(journal, pending, lambda _: receipt)
    assert outcome.verdict is Verdict.DECLINED
    assert outcome.receipt is not None
    assert outcome.receipt.decline_reason == reason
    assert journal.in_state(PaymentState.DECLINED)


def forged(pending: PendingPayment) -> Signed:
    return sign_receipt(make_receipt(pending), Ed25519PrivateKey.generate())


def for_another_payment(pending: PendingPayment) -> Signed:
    return sign_receipt(make_receipt(make_pending()))


def for_another_amount(pending: PendingPayment) -> Signed:
    receipt = make_receipt(pending)
    receipt.amount.amount_minor -= 1
    return sign_receipt(receipt)


def for_nothing(pending: PendingPayment) -> Signed:
    return Signed()


@pytest.mark.parametrize("answer", [forged, for_another_payment, for_another_amount, for_nothing])
async def test_an_answer_that_is_not_our_receipt_is_unknown(
    journal: Journal, answer: Answer
) -> None:
    """Nothing is handed over on it, and the payment is asked for again later."""
    pending = authorize(journal)
    outcome = await settle(journal, pending, lambda _: answer(pending))
    assert outcome.verdict is Verdict.UNKNOWN
    assert outcome.receipt is None
    assert journal.in_state(PaymentState.AUTHORIZED)


async def test_no_answer_is_unknown_and_never_paid(journal: Journal) -> None:
    pending = authorize(journal)
    outcome = await settle(journal, pending, *[grpc.StatusCode.UNAVAILABLE] * 50)
    assert outcome.verdict is Verdict.UNKNOWN
    assert outcome.signed is None
    assert not journal.in_state(PaymentState.SETTLED)
    assert not journal.unprinted()


async def test_what_the_switch_never_took_is_given_up(journal: Journal) -> None:
    pending = authorize(journal)
    outcome = await settle(journal, pending, "REQUEST_ID_STALE")
    assert outcome.verdict is Verdict.NOT_TAKEN
    assert "REQUEST_ID_STALE" in journal.in_state(PaymentState.ABANDONED)[0].note


async def test_open_payments_are_taken_up_with_the_same_bytes(tmp_path: Path) -> None:
    """As after a restart: two are open, the switch knows one of them already."""
    journal = Journal(tmp_path)
    pendings = [authorize(journal, f"till-1-{number}") for number in range(2)]
    switch = Switch("crash")
    async with serve(switch) as channel:
        sealed = journal.in_state(PaymentState.AUTHORIZED)[0].sealed
        assert sealed is not None
        await make_settlements(journal, channel).settle(pendings[0], sealed, 5.0)
        journal.close()
        journal = Journal(tmp_path)
        outcomes = await _take_up(journal, channel, count=2)
    journal.close()
    assert {verdict for _, verdict in outcomes} == {Verdict.SETTLED}
    assert len(switch.received) == 3
    assert len(set(switch.received)) == 2


async def test_it_goes_on_asking_until_the_switch_is_back(journal: Journal) -> None:
    authorize(journal)
    switch = Switch(*[grpc.StatusCode.INTERNAL] * 2)
    async with serve(switch) as channel:
        outcomes = await _take_up(journal, channel, count=1)
    assert [verdict for _, verdict in outcomes] == [Verdict.SETTLED]
    assert len(switch.received) == 3


async def test_a_payment_in_hand_is_not_sent_twice_at_once(journal: Journal) -> None:
    pending = authorize(journal)
    switch = Switch("hang")
    told: list[PendingPayment] = []
    async with serve(switch) as channel:
        settlements = make_settlements(journal, channel)
        sealed = journal.in_state(PaymentState.AUTHORIZED)[0].sealed
        assert sealed is not None
        settling = asyncio.create_task(settlements.settle(pending, sealed, 5.0))
        await asyncio.wait_for(switch.arrived.wait(), WAIT_S)
        loop = asyncio.create_task(settlements.take_up(lambda p, _: told.append(p), 1.0))
        outcome = await settling
        loop.cancel()
    assert outcome.verdict is Verdict.SETTLED
    assert len(switch.received) == 2
    assert not told


async def _take_up(
    journal: Journal, channel: grpc.aio.Channel, count: int
) -> list[tuple[PendingPayment, Verdict]]:
    outcomes: list[tuple[PendingPayment, Verdict]] = []
    enough = asyncio.Event()

    def on_outcome(pending: PendingPayment, outcome: Outcome) -> None:
        outcomes.append((pending, outcome.verdict))
        if len(outcomes) == count:
            enough.set()

    loop = asyncio.create_task(make_settlements(journal, channel).take_up(on_outcome, 1.0))
    try:
        await asyncio.wait_for(enough.wait(), WAIT_S)
    finally:
        loop.cancel()
    return outcomes
