"""The vend at hand: each word of the machine and each answer at each moment, without a line."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import grpc.aio
import pytest

from edge_agents.devices.mdb_adapter import Status, VendRequest, VendResult
from edge_agents.events import Events
from edge_agents.hold_ends import HoldEnds
from edge_agents.journal import Journal, PaymentState, read_journal
from edge_agents.payment_request import PendingPayment, RequestMaker
from edge_agents.settlements import Outcome, Verdict
from edge_agents.tap import PhoneAnswer
from edge_agents.uplink import Uplink
from edge_agents.vending.vend import VendingParts
from edge_agents.vending.vending import Vending
from kessai.settlement_terms import is_held_first
from kessai.v1 import decline_pb2, tap_pb2
from tests.unit.edge_agents.parties import (
    HELD,
    SWITCH_KEY,
    make_receipt,
    make_sealed,
    make_terminal,
    sign_receipt,
)
from tests.unit.edge_agents.shop import Clock, Follower

ASKED = VendRequest("1.50", 7)
GONE = [Status("ENABLED"), Status("DISABLED"), Status("INACTIVE")]


@dataclass
class Front:
    """A vending agent without its line: what it says to the machine, and shows."""

    folder: Path
    channel: grpc.aio.Channel
    clock: Clock = field(default_factory=Clock)
    said: list[str] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    told: Follower = field(default_factory=Follower)

    def __post_init__(self) -> None:
        self.journal = Journal(self.folder)
        self.vending = self._make()
        self.vending.start()

    def restart(self) -> None:
        """Start it again on its journal, as after a power cut."""
        self.vending._stop_timer()
        self.said.clear()
        self.vending = self._make()
        self.vending.start()
        self.vending.on_line_open()

    def _make(self) -> Vending:
        events, terminal = Events(self.clock, self.told), make_terminal()
        uplink, key = Uplink(self.channel, bytes), SWITCH_KEY.public_key()
        ends = HoldEnds(self.journal, uplink, key, events, self.clock, os.urandom)
        requests = RequestMaker(terminal, 60, self.clock, os.urandom)
        return Vending(
            VendingParts(
                "machine-1", "EUR", {7: "Water", 8: "Juice"}, self.journal, requests, ends, events,
                self.said.append, self.shown.append, asyncio.Event(), self.clock,
                vend_s=0.05, ask_s=0.05, hold_s=900,
            )
        )  # fmt: skip

    def ask(self) -> PendingPayment:
        """Let the machine ask for money, and give what a phone is asked to pay."""
        self.vending.on_word(ASKED)
        pending = self.vending.wanted_payment()
        assert pending is not None
        return pending

    def agree(self, pending: PendingPayment) -> None:
        """Let the customer agree."""
        self.journal.authorize(pending.request_id, make_sealed(pending))
        self.vending.on_authorized(pending)

    def held(self, pending: PendingPayment) -> None:
        """Let the switch hold the money."""
        receipt = make_receipt(pending, outcome=HELD)
        self.journal.hold(pending.request_id, sign_receipt(receipt))
        self.vending.on_outcome(pending, Outcome(Verdict.HELD, receipt))

    def dispense(self) -> PendingPayment:
        """Bring a vend to where the item falls."""
        pending = self.ask()
        self.agree(pending)
        self.held(pending)
        assert self.state is PaymentState.APPROVED
        return pending

    @property
    def state(self) -> PaymentState:
        """How the newest payment stands in the journal."""
        return read_journal(self.folder)[0].state

    @property
    def note(self) -> str:
        """Why, as the journal has it."""
        return read_journal(self.folder)[0].note


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    async with grpc.aio.insecure_channel("127.0.0.1:1") as channel:
        front = Front(tmp_path, channel)
        yield front
        front.vending.on_line_lost()
        front.journal.close()


async def test_a_vend_from_the_key_to_the_tray(front: Front) -> None:
    """The request is held first, names the item; yes is said once, and only for held money."""
    pending = front.ask()
    assert is_held_first(pending.request)
    assert [(i.description, i.unit_price_minor) for i in pending.request.items] == [
        ("7 Water", 150)
    ]
    assert "1.50 EUR" in front.shown[-1]
    front.agree(pending)
    assert front.said == []
    front.held(pending)
    assert front.said == ["C,VEND,1.50"]
    front.vending.on_word(VendResult(True))
    assert (front.state, front.vending.wanted_payment()) == (PaymentState.DELIVERED, None)


@pytest.mark.parametrize(
    ("asked", "shows"),
    [
        (VendRequest("1.50", 9), "Unknown item"),
        (VendRequest("0.00", 7), "Price not understood"),
        (VendRequest("1.505", 7), "Price not understood"),
    ],
)
async def test_what_cannot_be_sold_is_denied(front: Front, asked: VendRequest, shows: str) -> None:
    front.vending.on_word(asked)
    assert (front.said, front.shown) == (["C,STOP"], [shows])
    assert front.vending.wanted_payment() is None
    assert read_journal(front.folder) == []


async def test_asked_once_more_is_the_same_vend(front: Front) -> None:
    first = front.ask()
    assert front.ask() is first
    assert len(read_journal(front.folder)) == 1


async def test_another_selection_ends_the_one_before(front: Front) -> None:
    front.ask()
    front.vending.on_word(VendRequest("2.20", 8))
    newest, before = read_journal(front.folder)
    assert (newest.state, before.state) == (PaymentState.REQUESTED, PaymentState.ABANDONED)


@pytest.mark.parametrize("word", [*GONE, VendResult(False)])
async def test_the_machine_gives_up_before_anybody_agreed(
    front: Front, word: Status | VendResult
) -> None:
    front.ask()
    front.vending.on_word(word)
    assert (front.state, front.vending.wanted_payment()) == (PaymentState.ABANDONED, None)


@pytest.mark.parametrize("word", [*GONE, VendRequest("2.20", 8)])
async def test_the_machine_gives_up_while_the_switch_is_asked(
    front: Front, word: Status | VendRequest
) -> None:
    """The money that is held then is given back; nothing is said to a machine that waits not."""
    pending = front.ask()
    front.agree(pending)
    front.vending.on_word(word)
    said = list(front.said)
    front.held(pending)
    assert front.said == said
    assert (front.state, front.note) == (PaymentState.FAILED, "nobody waits for it any more")


@pytest.mark.parametrize("word", [VendResult(False), ASKED, VendRequest("2.20", 8)])
async def test_what_did_not_fall_is_given_back(
    front: Front, word: VendResult | VendRequest
) -> None:
    """The machine says so, or asks for money once more."""
    pending = front.dispense()
    front.vending.on_word(word)
    entry = next(e for e in read_journal(front.folder) if e.pending == pending)
    assert entry.state is PaymentState.FAILED


@pytest.mark.parametrize("word", GONE)
async def test_a_machine_that_is_ready_again_may_still_tell(front: Front, word: Status) -> None:
    """Enabled between the yes and the word: what it says then counts, for a while."""
    front.dispense()
    front.vending.on_word(word)
    assert front.state.value == "approved"
    front.vending.on_word(VendResult(True))
    assert front.state.value == "delivered"
    assert front.journal.unpaid_since(0) == (0, {})
    front.vending.on_word(VendResult(True))  # told twice
    assert front.journal.unpaid_since(0) == (0, {})


@pytest.mark.parametrize("word", GONE)
async def test_what_falls_after_it_was_given_back_is_told(front: Front, word: Status) -> None:
    """It was voided by then: the item is gone, nobody pays, and that is counted."""
    pending = front.dispense()
    front.vending.on_word(word)
    await front.told.wait_for("failed")
    assert (front.state, "told nothing" in front.note) == (PaymentState.FAILED, True)
    front.vending.on_word(VendResult(True))
    told = json.loads(front.told.getvalue().splitlines()[-1])
    assert (told["event"], told["payment_id"]) == ("given_out_unpaid", pending.payment_id)
    assert front.journal.unpaid_since(0) == (1, {"EUR": 150})


async def test_what_falls_although_nobody_was_told_yes(front: Front) -> None:
    """While a phone is waited for, or with no vend at all: counted, with the price if known."""
    front.vending.on_word(VendResult(True))
    assert front.journal.unpaid_since(0) == (1, {})
    front.ask()
    front.vending.on_word(VendResult(True))
    assert front.journal.unpaid_since(0) == (2, {"EUR": 150})
    assert front.state is PaymentState.ABANDONED


async def test_idle_is_no_end(front: Front) -> None:
    """The adapter is idle before and after it tells how a vend ended."""
    front.dispense()
    front.vending.on_word(Status("IDLE"))
    assert front.state is PaymentState.APPROVED


async def test_a_machine_that_tells_nothing(front: Front) -> None:
    front.dispense()
    await front.told.wait_for("failed")
    assert (front.state, front.note) == (PaymentState.FAILED, "the machine told nothing in time")


async def test_nobody_holds_a_phone(front: Front) -> None:
    """The request expires: the machine is told, and the next selection is sold."""
    front.ask()
    front.clock.now_us += 60_000_000
    assert front.vending.wanted_payment() is None
    assert (front.state, front.said) == (PaymentState.ABANDONED, ["C,STOP"])
    front.ask()


@pytest.mark.parametrize(
    ("status", "is_over"),
    [
        (tap_pb2.TAP_STATUS_CUSTOMER_DECLINED, True),
        (tap_pb2.TAP_STATUS_PHONE_LOCKED, True),
        (tap_pb2.TAP_STATUS_REQUEST_REFUSED, True),
        (tap_pb2.TAP_STATUS_NOT_UNDERSTOOD, False),
    ],
)
async def test_a_phone_that_does_not_pay(
    front: Front, status: tap_pb2.TapStatus.ValueType, is_over: bool
) -> None:
    front.vending.on_refusal(front.ask(), PhoneAnswer(status))
    assert (front.said == ["C,STOP"]) is is_over
    assert (front.vending.wanted_payment() is None) is is_over


@pytest.mark.parametrize(
    ("verdict", "shows"),
    [
        (Verdict.DECLINED, "Not enough money in the account."),
        (Verdict.UNKNOWN, "No line to the bank. Not paid"),
        (Verdict.NOT_TAKEN, "No line to the bank. Not paid"),
    ],
)
async def test_without_a_hold_nothing_is_given_out(
    front: Front, verdict: Verdict, shows: str
) -> None:
    pending = front.ask()
    front.agree(pending)
    reason = decline_pb2.DECLINE_REASON_INSUFFICIENT_FUNDS
    receipt = make_receipt(pending, reason) if verdict is Verdict.DECLINED else None
    front.vending.on_outcome(pending, Outcome(verdict, receipt))
    assert (front.said, front.shown[-1]) == (["C,STOP"], shows)


async def test_a_hold_that_comes_too_late_is_given_back(front: Front) -> None:
    """The switch was silent, the machine was told no; then the money turns out to be held."""
    pending = front.ask()
    front.agree(pending)
    front.vending.on_outcome(pending, Outcome(Verdict.UNKNOWN, why="silent"))
    front.held(pending)
    assert (front.state, front.said) == (PaymentState.FAILED, ["C,STOP"])


@pytest.mark.parametrize(
    ("cut", "state", "said"),
    [
        ("requested", PaymentState.ABANDONED, ["C,1", "C,STOP"]),
        ("authorized", PaymentState.AUTHORIZED, ["C,1", "C,STOP"]),
        ("held", PaymentState.FAILED, ["C,1", "C,STOP"]),
        ("approved", PaymentState.APPROVED, ["C,1"]),
    ],
)
async def test_a_power_cut(front: Front, cut: str, state: PaymentState, said: list[str]) -> None:
    """What is certain is decided at once; a machine that may be giving out is left alone."""
    pending = front.ask()
    if cut != "requested":
        front.agree(pending)
    if cut in ("held", "approved"):
        receipt = sign_receipt(make_receipt(pending, outcome=HELD))
        front.journal.hold(pending.request_id, receipt)
    if cut == "approved":
        front.journal.approve(pending.request_id)
    front.restart()
    assert (front.state, front.said) == (state, said)


@pytest.mark.parametrize(
    ("word", "state"),
    [
        (VendResult(True), PaymentState.DELIVERED),
        (VendResult(False), PaymentState.FAILED),
        (Status("ENABLED"), PaymentState.FAILED),
        (None, PaymentState.FAILED),
    ],
)
async def test_after_a_gap_the_machine_is_asked(
    front: Front, word: VendResult | Status | None, state: PaymentState
) -> None:
    """Its word counts; if it has none, what nobody can know is decided for the customer."""
    front.dispense()
    front.vending.on_line_lost()
    assert front.state is PaymentState.APPROVED
    front.vending.on_line_open()
    if word is not None:
        front.vending.on_word(word)
    await front.told.wait_for(state.value)
    assert front.state is state


async def test_an_approval_that_never_reached_the_machine(front: Front) -> None:
    """Killed between the note and the line: the machine still asks, and is denied."""
    pending = front.ask()
    front.agree(pending)
    front.journal.hold(pending.request_id, sign_receipt(make_receipt(pending, outcome=HELD)))
    front.journal.approve(pending.request_id)
    front.restart()
    await front.told.wait_for("failed")
    assert (front.state, front.said) == (PaymentState.FAILED, ["C,1", "C,STOP"])
