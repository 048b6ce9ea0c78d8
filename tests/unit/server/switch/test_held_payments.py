"""Held payments through the use case: a hold is captured, voided or expired, and that once."""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kessai.money import Money
from kessai.request_id import parse_request_id
from kessai.v1 import decline_pb2 as d
from kessai.v1 import payment_pb2
from kessai.v1.payment_pb2 import PaymentRequest, Receipt
from server.identity.refusals import RequestIdReused, Unknown
from server.shards.router import Shards
from server.switch.held_payments import HeldPayments
from server.switch.hold_expiry import HoldExpiry
from server.switch.outcomes import Outcomes, terminal
from server.switch.receipts import Receipts
from server.switch.refused import RequestIdStale
from server.switch.register_purchase import RegisterPurchase
from server.switch.settle import Settle
from tests.unit.server.domain.commands import (
    MINUTE_US,
    deposit,
    fresh_id,
    open_account,
)
from tests.unit.server.shards.parts import shards_in, verify_shards
from tests.unit.server.switch.counter import ANN, SHOP, Alterations, Counter

SHARDS = 2
OWNER = terminal("shop", "till-1")
HELD = payment_pb2.PAYMENT_OUTCOME_HELD
SETTLED = payment_pb2.PAYMENT_OUTCOME_SETTLED
VOIDED = payment_pb2.PAYMENT_OUTCOME_VOIDED
EXPIRED = payment_pb2.PAYMENT_OUTCOME_EXPIRED
DECLINED = payment_pb2.PAYMENT_OUTCOME_DECLINED
NOT_PENDING = d.DECLINE_REASON_HOLD_NOT_PENDING
HOLD_S = 60


def hold_terms(request: PaymentRequest) -> None:
    """Make it a request that holds for a minute."""
    request.terms = payment_pb2.SETTLEMENT_TERMS_HOLD
    request.hold_seconds = HOLD_S


@dataclass
class Desk:
    """A till that holds, and what it sees."""

    counter: Counter
    shards: Shards
    purchases: RegisterPurchase
    outcomes: Outcomes
    holds: HeldPayments
    expiry: HoldExpiry

    async def hold(self, minor: int = 300) -> bytes:
        """Hold an amount of Ann's; the payment's id."""
        message = self.counter.pay(minor, fresh_id(self.counter.clock()), Alterations(hold_terms))
        request_id = parse_request_id(message.request_id)
        self.counter.read(await self.purchases.settle(message, request_id, "shop", "till-1"))
        return request_id

    async def capture(self, payment: bytes, minor: int = 300) -> tuple[int, int]:
        """Capture; the outcome as it stands now, and the decline."""
        request_id = fresh_id(self.counter.clock())
        amount = Money(minor, "EUR")
        receipt, decline = await self.holds.capture(request_id, payment, amount, OWNER)
        return self.counter.read(receipt).outcome, decline

    async def void(self, payment: bytes) -> tuple[int, int]:
        """Void; the outcome as it stands now, and the decline."""
        request_id = fresh_id(self.counter.clock())
        receipt, decline = await self.holds.void(request_id, payment, OWNER)
        return self.counter.read(receipt).outcome, decline

    async def now(self, payment: bytes) -> Receipt:
        """Ask how a payment stands."""
        return self.counter.read(await self.outcomes.receipt(payment, OWNER))

    async def money(self) -> tuple[int, int]:
        """Ann's balance, and what of it she can spend."""
        account = await self.shards.account(ANN)
        assert account is not None
        return account.balance, account.available


@asynccontextmanager
async def at_desk(folder: Path) -> AsyncIterator[Desk]:
    """A till, and Ann with 10.00; the shop's account is on another shard."""
    counter = Counter(folder)
    with shards_in(folder, SHARDS, counter.clock) as shards:
        await shards.submit(open_account(ANN))
        await shards.submit(open_account(SHOP, "merchant/shop"))
        await shards.submit(deposit(ANN, 1000))
        outcomes = Outcomes(shards, Receipts(counter.switch_key))
        holds = HeldPayments(Settle(shards, counter.clock), outcomes)
        expiry, purchases = HoldExpiry(shards, counter.clock), counter.purchases(shards)
        yield Desk(counter, shards, purchases, outcomes, holds, expiry)
        purchases.close()
    counter.directory.close()
    assert verify_shards(folder, SHARDS).faults == []


async def test_a_hold_is_captured(tmp_path: Path) -> None:
    """Held first, and the shop's only when captured; the receipt is that of the payment."""
    async with at_desk(tmp_path) as desk:
        payment = await desk.hold(300)
        held = await desk.now(payment)
        assert (held.outcome, held.amount.amount_minor) == (HELD, 300)
        assert await desk.money() == (1000, 700)
        assert await desk.capture(payment) == (SETTLED, 0)
        settled = await desk.now(payment)
        assert (settled.outcome, settled.request_id) == (SETTLED, payment)
        assert settled.request_hash == held.request_hash
        assert settled.log_position.sequence > held.log_position.sequence
        assert await desk.money() == (700, 700)


async def test_a_part_is_captured_and_the_rest_comes_back(tmp_path: Path) -> None:
    async with at_desk(tmp_path) as desk:
        payment = await desk.hold(300)
        assert await desk.capture(payment, 120) == (SETTLED, 0)
        assert (await desk.now(payment)).amount.amount_minor == 120
        assert await desk.money() == (880, 880)
        assert await desk.capture(payment, 180) == (SETTLED, NOT_PENDING)
        assert await desk.money() == (880, 880)


async def test_more_than_is_held_is_not_captured(tmp_path: Path) -> None:
    """Nor other money; the hold stays as it is and can still be captured."""
    async with at_desk(tmp_path) as desk:
        payment = await desk.hold(300)
        assert await desk.capture(payment, 301) == (HELD, d.DECLINE_REASON_AMOUNT_TOO_LARGE)
        receipt, decline = await desk.holds.capture(fresh_id(), payment, Money(300, "JPY"), OWNER)
        assert desk.counter.read(receipt).outcome == HELD
        assert decline == d.DECLINE_REASON_CURRENCY_MISMATCH
        assert await desk.money() == (1000, 700)
        assert await desk.capture(payment, 300) == (SETTLED, 0)


async def test_a_hold_is_voided(tmp_path: Path) -> None:
    async with at_desk(tmp_path) as desk:
        payment = await desk.hold(300)
        assert await desk.void(payment) == (VOIDED, 0)
        assert (await desk.now(payment)).outcome == VOIDED
        assert await desk.money() == (1000, 1000)
        assert await desk.void(payment) == (VOIDED, NOT_PENDING)
        assert await desk.capture(payment) == (VOIDED, NOT_PENDING)
        assert await desk.money() == (1000, 1000)


async def test_a_hold_expires_by_itself(tmp_path: Path) -> None:
    """From its time on it cannot be captured, also before anybody has looked."""
    async with at_desk(tmp_path) as desk:
        payment = await desk.hold(300)
        desk.counter.clock.us += HOLD_S * 1_000_000
        assert await desk.capture(payment) == (HELD, NOT_PENDING)
        assert await desk.expiry.release_due() == 1
        assert (await desk.now(payment)).outcome == EXPIRED
        assert await desk.capture(payment) == (EXPIRED, NOT_PENDING)
        assert await desk.void(payment) == (EXPIRED, NOT_PENDING)
        assert await desk.money() == (1000, 1000)


async def test_twenty_captures_at_once_take_it_once(tmp_path: Path) -> None:
    async with at_desk(tmp_path) as desk:
        payment = await desk.hold(300)
        answers = await asyncio.gather(*(desk.capture(payment) for _ in range(20)))
        assert sorted(decline for _, decline in answers) == [0] + [NOT_PENDING] * 19
        assert {outcome for outcome, _ in answers} == {SETTLED}
        assert await desk.money() == (700, 700)


async def test_the_same_request_id_has_one_effect(tmp_path: Path) -> None:
    """Repeated it gets the same answer; with other content it is refused; old it is stale."""
    async with at_desk(tmp_path) as desk:
        payment, other, request_id = await desk.hold(), await desk.hold(), fresh_id()
        amount = Money(300, "EUR")
        first = await desk.holds.capture(request_id, payment, amount, OWNER)
        assert await desk.holds.capture(request_id, payment, amount, OWNER) == first
        for again in (
            desk.holds.capture(request_id, payment, Money(299, "EUR"), OWNER),
            desk.holds.capture(request_id, other, amount, OWNER),
            desk.holds.void(request_id, payment, OWNER),
            desk.holds.void(other, other, OWNER),
        ):
            with pytest.raises(RequestIdReused):
                await again
        with pytest.raises(RequestIdStale):
            await desk.holds.void(fresh_id(desk.counter.clock() - 4 * MINUTE_US), other, OWNER)
        assert (await desk.now(other)).outcome == HELD


async def test_only_the_terminals_own_held_payments(tmp_path: Path) -> None:
    """Another terminal's, one that was declined, or settled at once: it has none such."""
    async with at_desk(tmp_path) as desk:
        payment, declined = await desk.hold(), await desk.hold(5000)
        message = desk.counter.pay()
        at_once = parse_request_id(message.request_id)
        await desk.purchases.settle(message, at_once, "shop", "till-1")
        assert (await desk.now(declined)).outcome == DECLINED
        for wanted, owner in (
            (payment, terminal("shop", "till-2")),
            (payment, terminal("other", "till-1")),
            (declined, OWNER),
            (at_once, OWNER),
            (fresh_id(), OWNER),
        ):
            with pytest.raises(Unknown):
                await desk.holds.void(fresh_id(), wanted, owner)
            with pytest.raises(Unknown):
                await desk.holds.capture(fresh_id(), wanted, Money(300, "EUR"), owner)
        assert (await desk.now(payment)).outcome == HELD


async def test_settling_again_gives_the_first_answer(tmp_path: Path) -> None:
    """SettlePayment says what it said; how it stands now is what GetPayment is for."""
    async with at_desk(tmp_path) as desk:
        message = desk.counter.pay(300, altered=Alterations(hold_terms))
        payment = parse_request_id(message.request_id)
        first = await desk.purchases.settle(message, payment, "shop", "till-1")
        await desk.void(payment)
        assert await desk.purchases.settle(message, payment, "shop", "till-1") == first


steps = st.lists(
    st.one_of(
        st.tuples(st.just("hold"), st.integers(1, 400)),
        st.tuples(st.just("capture"), st.integers(1, 400)),
        st.tuples(st.just("void"), st.just(0)),
        st.tuples(st.just("wait"), st.integers(1, 40)),
        st.tuples(st.just("release"), st.just(0)),
    ),
    max_size=14,
)


@settings(max_examples=30, deadline=None)
@given(steps=steps, which=st.randoms(use_true_random=False))
def test_a_hold_ends_once(steps: list[tuple[str, int]], which: random.Random) -> None:
    """Whatever a till does, in whatever order: one end, and the money is where that says."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_play(Path(folder), steps, which))


async def _play(folder: Path, steps: list[tuple[str, int]], which: random.Random) -> None:
    async with at_desk(folder) as desk:
        amounts: dict[bytes, int] = {}
        ended: dict[bytes, tuple[int, int]] = {}
        for step, number in steps:
            if step == "wait":
                desk.counter.clock.us += number * 1_000_000
            elif step == "release":
                await desk.expiry.release_due()
            elif step == "hold":
                payment = await desk.hold(number)
                if (await desk.now(payment)).outcome == HELD:
                    amounts[payment] = number
            elif amounts:
                payment = which.choice(sorted(amounts))
                await (desk.void(payment) if step == "void" else desk.capture(payment, number))
            for payment in amounts:
                receipt = await desk.now(payment)
                end = (receipt.outcome, receipt.amount.amount_minor)
                if receipt.outcome != HELD:
                    assert ended.setdefault(payment, end) == end
        taken = sum(minor for outcome, minor in ended.values() if outcome == SETTLED)
        held = sum(amount for payment, amount in amounts.items() if payment not in ended)
        assert await desk.money() == (1000 - taken, 1000 - taken - held)
