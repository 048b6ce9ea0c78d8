"""Fares in the books: one payment an admission, an entry of its own kind, what was spent today."""

from __future__ import annotations

from pathlib import Path

from kessai.request_id import parse_request_id
from kessai.v1 import account_pb2, payment_pb2
from kessai.v1 import decline_pb2 as d
from kessai.v1.holder_pb2 import HolderAnswer
from server.domain.directory import HolderEntry
from server.domain.document import Document, DocumentKind
from server.shards.router import Shards
from server.switch.travel import Travel, TravelAsked
from tests.unit.server.domain.commands import MINUTE_US, deposit, freeze, fresh_id
from tests.unit.server.shards.parts import verify_shards
from tests.unit.server.switch.counter import ANN, Alterations, Counter
from tests.unit.server.switch.test_register_purchase import SHARDS, at_counter, settle

SETTLED = payment_pb2.PAYMENT_OUTCOME_SETTLED
RIDE = fresh_id()


def fare_of(admission: bytes) -> Alterations:
    """Make the payment the fare of a ride."""
    return Alterations(request=lambda request: setattr(request, "admission_id", admission))


async def spent(counter: Counter, shards: Shards, since_us: int) -> int:
    """What Ann paid to the shop on the way, since a moment."""
    account = await shards.account(ANN)
    assert account is not None
    key = counter.switch_key.public_key()
    travel = Travel(shards, counter.directory, None, key, counter.clock)  # type: ignore[arg-type]
    return await travel._spent(account, counter.merchant, since_us)


async def test_one_fare_is_paid_for_a_ride(tmp_path: Path) -> None:
    async with at_counter(tmp_path) as (counter, purchases, shards):
        message = counter.pay(300, altered=fare_of(RIDE))
        first = counter.read(await settle(purchases, message))
        assert first.outcome == SETTLED
        again = counter.read(await settle(purchases, message))
        assert again == first
        other = counter.read(await settle(purchases, counter.pay(200, altered=fare_of(RIDE))))
        assert other.decline_reason == d.DECLINE_REASON_ADMISSION_USED
        document = await shards.home_of(ANN).read(lambda reader: reader.document(RIDE))
        request_id = parse_request_id(message.request_id)
        assert document == Document(RIDE, DocumentKind.ADMISSION, ANN, request_id)
        account = await shards.account(ANN)
        assert account is not None
        assert account.balance == 700
    assert verify_shards(tmp_path, SHARDS).faults == []


async def test_a_declined_fare_leaves_the_ride_open(tmp_path: Path) -> None:
    async with at_counter(tmp_path) as (counter, purchases, shards):
        poor = counter.read(await settle(purchases, counter.pay(1001, altered=fare_of(RIDE))))
        assert poor.decline_reason == d.DECLINE_REASON_INSUFFICIENT_FUNDS
        await shards.submit(deposit(ANN, 500))
        rich = counter.read(await settle(purchases, counter.pay(1001, altered=fare_of(RIDE))))
        assert rich.outcome == SETTLED


async def test_an_admission_id_has_sixteen_bytes(tmp_path: Path) -> None:
    async with at_counter(tmp_path) as (counter, purchases, _):
        receipt = counter.read(await settle(purchases, counter.pay(300, altered=fare_of(b"x"))))
        assert receipt.decline_reason == d.DECLINE_REASON_REQUEST_MALFORMED


async def test_fares_of_today_are_added_up(tmp_path: Path) -> None:
    """Not what was bought beside, nor what was paid before the day began."""
    async with at_counter(tmp_path) as (counter, purchases, shards):
        begin_us = counter.clock()
        for minor in (100, 150):
            altered = fare_of(fresh_id(counter.clock()))
            message = counter.pay(minor, fresh_id(counter.clock()), altered)
            assert counter.read(await settle(purchases, message)).outcome == SETTLED
            counter.clock.us += MINUTE_US
        bought = counter.pay(70, fresh_id(counter.clock()))
        assert counter.read(await settle(purchases, bought)).outcome == SETTLED
        assert await spent(counter, shards, begin_us) == 250
        assert await spent(counter, shards, begin_us + MINUTE_US) == 150
        assert await spent(counter, shards, counter.clock() + 1) == 0
        assert await spent(counter, shards, 0) == 0
        _, entries = await shards.statement(ANN, 0, 10)
        kinds = [entry.code for entry in entries]
        assert kinds.count(account_pb2.ENTRY_KIND_FARE) == 2
        assert kinds.count(account_pb2.ENTRY_KIND_PAYMENT) == 1


async def test_a_day_has_more_entries_than_fit_on_ten_pages(tmp_path: Path) -> None:
    """A fare before a thousand others counts, and the cap is reached as it must be."""
    async with at_counter(tmp_path) as (counter, purchases, shards):
        begin_us = counter.clock()
        fare = counter.pay(100, fresh_id(begin_us), fare_of(fresh_id(begin_us)))
        assert counter.read(await settle(purchases, fare)).outcome == SETTLED
        await shards.submit_all([deposit(ANN, 1) for _ in range(1_050)])
        assert await spent(counter, shards, begin_us) == 100


async def test_out_of_a_frozen_account_nobody_travels(tmp_path: Path) -> None:
    """One word for all that is in the account, as for too little money."""
    async with at_counter(tmp_path) as (counter, _, shards):
        key = counter.switch_key.public_key()
        travel = Travel(shards, counter.directory, None, key, counter.clock)  # type: ignore[arg-type]
        entry = HolderEntry(b"c" * 16, b"r" * 16, "phone/ann/pixel", ANN, b"", b"", 0)
        asked = TravelAsked(HolderAnswer(), b"", "EUR", 0, b"", b"")
        assert not (await travel._look(asked, entry, counter.merchant, None)).decline
        await shards.submit(freeze(ANN))
        told = await travel._look(asked, entry, counter.merchant, None)
        assert told.decline == d.DECLINE_REASON_MAY_NOT_TRAVEL
