"""Test amounts: each gives its answer, logged and replayed; any other total is as ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from kessai.complaint import Complaint
from kessai.decline import MEANINGS
from kessai.request_id import parse_request_id
from kessai.v1 import decline_pb2 as d
from kessai.v1 import payment_pb2
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.payment_pb2 import SettlePaymentRequest
from server.shards.router import Shards
from server.switch import test_amounts
from server.switch.documents import Submission
from server.switch.refused import Unavailable
from server.switch.register_purchase import Approved, RegisterPurchase
from tests.unit.server.domain.commands import MINUTE_US, deposit, open_account
from tests.unit.server.shards.parts import shards_in, verify_shards
from tests.unit.server.switch.counter import ANN, PHONE, SHOP, Counter

SHARDS = 2
CASH = 100_000_00
SETTLED = payment_pb2.PAYMENT_OUTCOME_SETTLED


@asynccontextmanager
async def rehearsing(
    folder: Path, on: bool = True
) -> AsyncIterator[tuple[Counter, RegisterPurchase, Shards]]:
    """A counter at a switch with test amounts; its customer is rich. The books verify after."""
    counter = Counter(folder)
    rehearsal = test_amounts.rehearsal(on, made_for_tests=True, now_us=counter.clock)
    async with _rich(folder, counter) as shards:
        purchases = counter.purchases(shards, rehearsal)
        yield counter, purchases, shards
        purchases.close()
    counter.directory.close()
    assert verify_shards(folder, SHARDS).faults == []


@asynccontextmanager
async def _rich(folder: Path, counter: Counter) -> AsyncIterator[Shards]:
    with shards_in(folder, SHARDS, counter.clock) as shards:
        await shards.submit(open_account(ANN))
        await shards.submit(open_account(SHOP, "merchant/shop"))
        await shards.submit(deposit(ANN, CASH))
        yield shards


async def settle(purchases: RegisterPurchase, message: SettlePaymentRequest) -> Signed:
    """Send what a till sends."""
    request_id = parse_request_id(message.request_id)
    return await purchases.settle(message, request_id, "shop", "till-1")


async def spent(shards: Shards) -> int:
    """Tell what the customer has paid so far."""
    found = await shards.account(ANN)
    assert found is not None
    return CASH - found.balance


async def test_each_amount_is_declined_for_its_reason(tmp_path: Path) -> None:
    """Also at the end of a larger total; logged, the same when asked again, and nothing moves."""
    async with rehearsing(tmp_path) as (counter, purchases, shards):
        for minor, reason in test_amounts.DECLINES.items():
            for total in (minor, 300_00 + minor):
                message = counter.pay(total)
                first = await settle(purchases, message)
                receipt = counter.read(first)
                assert (receipt.decline_reason, receipt.amount.amount_minor) == (reason, total)
                assert receipt.HasField("log_position")
                assert await settle(purchases, message) == first
        assert await spent(shards) == 0


def test_the_table_reads_as_its_rule_says() -> None:
    """90 and the number of a reason that people can read; amounts do not overlap."""
    for minor, reason in test_amounts.DECLINES.items():
        assert minor == 9000 + reason
        assert reason in MEANINGS
    others = {test_amounts.STORE_UNAVAILABLE, test_amounts.NEVER_ANSWERED}
    assert not others & test_amounts.LATE_S.keys()
    assert not test_amounts.DECLINES.keys() & (others | test_amounts.LATE_S.keys())


async def test_other_amounts_are_untouched(tmp_path: Path) -> None:
    async with rehearsing(tmp_path) as (counter, purchases, shards):
        ordinary = [1, 349, 43, 9000, 9099, 9100, 9161, 9202, 904_30]
        for minor in ordinary:
            receipt = counter.read(await settle(purchases, counter.pay(minor)))
            assert (receipt.outcome, minor) == (SETTLED, minor)
        assert await spent(shards) == sum(ordinary)


async def test_off_means_off(tmp_path: Path) -> None:
    async with rehearsing(tmp_path, on=False) as (counter, purchases, shards):
        amounts = [9043, 9160, test_amounts.STORE_UNAVAILABLE, test_amounts.NEVER_ANSWERED]
        for minor in amounts:
            message = counter.pay(minor)
            receipt = await asyncio.wait_for(settle(purchases, message), 20)
            assert counter.read(receipt).outcome == SETTLED
        assert await spent(shards) == sum(amounts)


async def test_what_is_really_wrong_comes_first(tmp_path: Path) -> None:
    """A revoked phone is a revoked phone, whatever the amount."""
    async with rehearsing(tmp_path) as (counter, purchases, _):
        counter.directory.revoke(PHONE, counter.clock())
        receipt = counter.read(await settle(purchases, counter.pay(9043)))
        assert receipt.decline_reason == d.DECLINE_REASON_WALLET_REVOKED


async def test_an_answer_is_late_and_not_again(tmp_path: Path) -> None:
    """The money has moved when the terminal gives up; asking again later gets the receipt."""
    async with rehearsing(tmp_path) as (counter, purchases, shards):
        message = counter.pay(9130)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(settle(purchases, message), 1)
        assert await spent(shards) == 9130
        counter.clock.us += 30_000_000
        receipt = await asyncio.wait_for(settle(purchases, message), 20)
        assert counter.read(receipt).outcome == SETTLED
        assert await spent(shards) == 9130


async def test_an_answer_never_comes_while_anybody_waits(tmp_path: Path) -> None:
    """Who asks what became of it is told at once; the rest once the request has expired."""
    async with rehearsing(tmp_path) as (counter, purchases, shards):
        message = counter.pay(test_amounts.NEVER_ANSWERED)
        counter.clock.us += MINUTE_US - 10_000_000
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(settle(purchases, message), 1)
        found = await counter.find(shards, parse_request_id(message.request_id))
        counter.clock.us += 10_000_000
        assert await asyncio.wait_for(settle(purchases, message), 20) == found
        assert counter.read(found).outcome == SETTLED


async def test_the_store_is_unavailable_until_the_request_has_expired(tmp_path: Path) -> None:
    """Nothing is done, as often as it is asked; then it is declined, and the terminal can stop."""
    async with rehearsing(tmp_path) as (counter, purchases, shards):
        message = counter.pay(test_amounts.STORE_UNAVAILABLE)
        for _ in range(2):
            with pytest.raises(Unavailable):
                await settle(purchases, message)
        assert await shards.find(parse_request_id(message.request_id)) is None
        counter.clock.us += MINUTE_US
        receipt = counter.read(await settle(purchases, message))
        assert receipt.decline_reason == d.DECLINE_REASON_EXPIRED


async def test_in_a_batch_each_fares_by_itself(tmp_path: Path) -> None:
    """A decline is a command that the shard logs, a store that is away is that payment's alone."""
    async with rehearsing(tmp_path) as (counter, purchases, _):
        totals = (9021, test_amounts.STORE_UNAVAILABLE, 300)
        messages = [counter.pay(minor) for minor in totals]
        declined, away, good = await purchases.prepare(
            [
                Submission(m, parse_request_id(m.request_id), counter.merchant, "till-1")
                for m in messages
            ]
        )
        assert isinstance(away, Unavailable)
        assert isinstance(declined, Approved)
        assert isinstance(good, Approved)
        refusals = declined.command.refusal, good.command.refusal
        assert refusals == (d.DECLINE_REASON_WALLET_REVOKED, 0)


def test_real_books_never_rehearse() -> None:
    """Whose books were not made for tests is told so, and nothing starts."""
    with pytest.raises(Complaint, match="were not made for tests"):
        test_amounts.rehearsal(True, made_for_tests=False, now_us=int)
    assert test_amounts.rehearsal(False, made_for_tests=False, now_us=int) is None
