"""The ends of holds: owed in the journal first, done once, believed by a receipt alone."""

from __future__ import annotations

import asyncio
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_agents.events import Events
from edge_agents.hold_ends import HoldEnds
from edge_agents.journal import Journal, PaymentState, WrongState
from edge_agents.payment_request import PendingPayment, RequestMaker
from edge_agents.uplink import Uplink
from kessai.money import Money
from kessai.v1.payment_pb2 import LineItem
from tests.unit.edge_agents.parties import (
    EXPIRED,
    HELD,
    NOW_US,
    SETTLED,
    SWITCH_KEY,
    VOIDED,
    WAIT_S,
    Step,
    Switch,
    make_receipt,
    make_sealed,
    make_terminal,
    serve,
    sign_receipt,
)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path)
    yield journal
    journal.close()


def hold(journal: Journal, order_id: str = "machine-1-000001") -> PendingPayment:
    """Bring a payment to where its money is held."""
    item = LineItem(description="7 Water", quantity=1, unit_price_minor=150)
    maker = RequestMaker(make_terminal(), 60, lambda: NOW_US, os.urandom)
    pending = maker.make(order_id, [item], Money(150, "EUR"), hold_s=600)
    journal.request(pending)
    journal.authorize(pending.request_id, make_sealed(pending))
    journal.hold(pending.request_id, sign_receipt(make_receipt(pending, outcome=HELD)))
    return pending


async def end(
    journal: Journal, pending: PendingPayment, *plan: Step, known: int = HELD
) -> tuple[list[str], Switch]:
    """Run the ends until this hold has ended; what was told comes back."""
    switch, told, ended = Switch(), io.StringIO(), asyncio.Event()
    switch.requests[pending.payment_id] = pending
    switch.known[pending.payment_id] = sign_receipt(make_receipt(pending, outcome=known))
    switch.finish_plan[:] = plan
    async with serve(switch) as channel:
        uplink = Uplink(channel, bytes, attempt_s=0.5, first_pause_s=0.02)
        events = Events(lambda: NOW_US, told)
        key = SWITCH_KEY.public_key()
        ends = HoldEnds(journal, uplink, key, events, lambda: NOW_US, os.urandom)
        running = asyncio.create_task(ends.run(lambda _: ended.set()))
        try:
            await asyncio.wait_for(ended.wait(), WAIT_S)
        finally:
            running.cancel()
    return [json.loads(line)["event"] for line in told.getvalue().splitlines()], switch


@pytest.mark.parametrize(
    ("delivered", "state", "event"),
    [(True, PaymentState.SETTLED, "settled"), (False, PaymentState.VOIDED, "voided")],
)
async def test_what_is_owed_is_done(
    journal: Journal, delivered: bool, state: PaymentState, event: str
) -> None:
    """Given out: captured; not given out: voided. The phone is to get the new receipt."""
    pending = hold(journal)
    journal.mark_delivered(pending.request_id)
    journal.approve(pending.request_id)
    journal.decide(pending.request_id, delivered, "the machine said so")
    assert journal.has_open_holds()
    told, _ = await end(journal, pending)
    assert told == [event]
    [entry] = journal.in_state(state)
    assert (entry.delivered, entry.note) == (False, "the machine said so")
    assert not journal.has_open_holds()


@pytest.mark.parametrize("trouble", ["lose", grpc.StatusCode.UNAVAILABLE, "REQUEST_ID_STALE"])
async def test_it_asks_until_it_knows(journal: Journal, trouble: Step) -> None:
    """A lost answer, a line that is down, an id that got old: the next asking tells."""
    pending = hold(journal)
    journal.decide(pending.request_id, False, "jammed")
    told, switch = await end(journal, pending, trouble)
    assert told[-1] == "voided"
    assert journal.in_state(PaymentState.VOIDED)
    assert switch.finish_plan == []


@pytest.mark.parametrize(("known", "event"), [(VOIDED, "not_captured"), (EXPIRED, "not_captured"),
                                              (SETTLED, "settled")])  # fmt: skip
async def test_a_hold_that_had_ended(journal: Journal, known: int, event: str) -> None:
    """The receipt tells how, whatever was asked for; goods without money are told as such."""
    pending = hold(journal)
    journal.decide(pending.request_id, True, "given out")
    told, _ = await end(journal, pending, known=known)
    assert told == [event]
    assert journal.unpaid_since(0)[0] == (event == "not_captured")


async def test_a_forged_receipt_ends_nothing(journal: Journal) -> None:
    pending = hold(journal)
    journal.decide(pending.request_id, True, "given out")
    switch = Switch()
    forged = make_receipt(pending, outcome=SETTLED)
    switch.known[pending.payment_id] = sign_receipt(forged, Ed25519PrivateKey.generate())
    asked, told = asyncio.Event(), io.StringIO()
    async with serve(switch) as channel:
        uplink = Uplink(channel, bytes, attempt_s=0.5, first_pause_s=0.02)
        events = Events(lambda: asked.set() or NOW_US, told)  # type: ignore[func-returns-value]
        key = SWITCH_KEY.public_key()
        ends = HoldEnds(journal, uplink, key, events, lambda: NOW_US, os.urandom)
        running = asyncio.create_task(ends.run(lambda _: None))
        await asyncio.wait_for(asked.wait(), WAIT_S)
        running.cancel()
    assert journal.in_state(PaymentState.DELIVERED)
    assert "cannot be trusted" in told.getvalue()


def test_a_hold_goes_its_way_and_no_other(journal: Journal) -> None:
    """Decided once, ended once, approved only while it is held."""
    pending = hold(journal)
    receipt = sign_receipt(make_receipt(pending, outcome=SETTLED))
    with pytest.raises(WrongState):
        journal.end_hold(pending.request_id, receipt, settled=True)
    with pytest.raises(WrongState):
        journal.conclude(pending.request_id, receipt, settled=True)
    with pytest.raises(WrongState):
        journal.abandon(pending.request_id, "expired")
    journal.approve(pending.request_id)
    journal.decide(pending.request_id, True, "given out")
    with pytest.raises(WrongState):
        journal.approve(pending.request_id)
    with pytest.raises(WrongState):
        journal.decide(pending.request_id, False, "not given out")
    journal.end_hold(pending.request_id, receipt, settled=True)
    with pytest.raises(WrongState):
        journal.end_hold(pending.request_id, receipt, settled=False)
