"""Goods without the switch: only while it is away, whatever a phone makes it answer."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest

from edge_agents.backlog import Backlog
from edge_agents.deny_list import DenyList
from edge_agents.events import Events
from edge_agents.journal import Journal, PaymentState
from edge_agents.offline_decision import OfflineDecision
from edge_agents.settlements import Settlements, Verdict
from edge_agents.uplink import Uplink
from kessai.v1.payment_pb2 import SettlePaymentRequest
from tests.unit.edge_agents.parties import SWITCH_KEY, Step, Switch, serve
from tests.unit.edge_agents.test_offline_decision import CutOff


async def buy(gate: CutOff, channel: grpc.aio.Channel) -> Verdict:
    """One tap of a phone whose holder may pay without the switch."""
    uplink = Uplink(channel, bytes, first_pause_s=0.02)
    offline = OfflineDecision(gate.terminal, gate.denied, gate.settings, gate.journal, gate.clock)
    key, events = SWITCH_KEY.public_key(), Events(gate.clock)
    settlements = Settlements(gate.journal, uplink, key, events, gate.clock, offline)
    pending = gate.authorized()
    (sealed,) = (
        entry.sealed
        for entry in gate.journal.in_state(PaymentState.AUTHORIZED)
        if entry.pending == pending
    )
    assert sealed is not None
    return (await settlements.settle(pending, sealed, 0.3, gate.answer(pending))).verdict


@pytest.mark.parametrize(
    ("answers", "verdict"),
    [
        (grpc.StatusCode.INTERNAL, Verdict.UNKNOWN),
        (grpc.StatusCode.UNKNOWN, Verdict.UNKNOWN),
        ("CERTIFICATE_REFUSED", Verdict.UNKNOWN),
        ("CALLER_NOT_PERMITTED", Verdict.UNKNOWN),
        ("FIELD_INVALID", Verdict.NOT_TAKEN),
        (grpc.StatusCode.UNAVAILABLE, Verdict.ACCEPTED),
        ("STORE_UNAVAILABLE", Verdict.ACCEPTED),
    ],
)
async def test_goods_need_a_switch_that_is_away(
    tmp_path: Path, answers: Step, verdict: Verdict
) -> None:
    """A phone whose document makes the switch fail takes nothing, however often it taps."""
    journal = Journal(tmp_path)
    gate, switch = CutOff(tmp_path, journal), Switch(*[answers] * 60)
    if verdict is Verdict.ACCEPTED:  # away for questions, too
        switch.find_plan = [answers] * 60
    async with serve(switch) as channel:
        assert [await buy(gate, channel) for _ in range(2)] == [verdict] * 2
    journal.close()


async def test_what_was_accepted_comes_with_the_answer_on_which_it_was(tmp_path: Path) -> None:
    """So the switch knows whose credential to deny if it is not paid; nothing else carries one."""
    journal = Journal(tmp_path)
    gate, switch = CutOff(tmp_path, journal), Switch(*[grpc.StatusCode.UNAVAILABLE] * 60)
    async with serve(switch) as channel:
        assert await buy(gate, channel) is Verdict.ACCEPTED
        sent = SettlePaymentRequest.FromString(switch.received[-1])
        assert not sent.HasField("accepted_holder_answer")
        switch.plan.clear()
        uplink, events = Uplink(channel, bytes), Events(gate.clock)
        backlog = Backlog(journal, uplink, events, gate.clock)
        async for entry, answer in backlog.bring(backlog.due(()), 1.0):
            assert answer == switch.known[entry.pending.payment_id]
        sent = SettlePaymentRequest.FromString(switch.received[-1])
        assert sent.accepted_holder_answer == journal.accepted.answer_of(entry.pending.request_id)
        assert sent.accepted_holder_answer.proof.payload
    journal.close()


async def test_a_revoked_terminal_does_not_begin_to_decide(tmp_path: Path) -> None:
    """It heard that it is refused; then its line is cut, and it is started anew."""
    journal = Journal(tmp_path)
    gate = CutOff(tmp_path, journal)
    async with serve(Switch(*[grpc.StatusCode.UNAVAILABLE] * 60)) as channel:
        assert await buy(gate, channel) is Verdict.ACCEPTED
        gate.denied.refuse()
        gate.denied.close()
        gate.denied = DenyList(tmp_path)
        assert await buy(gate, channel) is Verdict.UNKNOWN
    journal.close()
