"""Fares in the books: one payment a ride, an entry of its own kind, what was spent today."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from kessai.account_number import format_account
from kessai.envelope import PrivateKey
from kessai.request_id import parse_request_id
from kessai.v1 import account_pb2, payment_pb2
from kessai.v1 import decline_pb2 as d
from kessai.v1.holder_pb2 import HolderAnswer
from kessai.v1.payment_pb2 import PaymentAuthorization, PaymentRequest, Receipt
from server.domain.directory import DenyKind, HolderEntry
from server.domain.document import Document, DocumentKind
from server.domain.fare import ride_id
from server.shards.router import Shards
from server.switch.travel import Travel, TravelAsked
from tests.unit.server.domain.commands import (
    MINUTE_US,
    accounts_on,
    deposit,
    freeze,
    fresh_id,
    open_account,
    pay,
)
from tests.unit.server.shards.parts import verify_shards
from tests.unit.server.switch.counter import ANN, SHOP, Alterations, Counter
from tests.unit.server.switch.test_register_purchase import SHARDS, at_counter, balance, settle

Fare = Callable[..., Awaitable[Receipt]]

SETTLED = payment_pb2.PAYMENT_OUTCOME_SETTLED
RIDE = fresh_id()
BOB, HERS = next(accounts_on(0, 2, 5000)), next(accounts_on(1, 2, 6000))


def fare_of(
    admission: bytes, credential: bytes, payer: int = ANN, key: PrivateKey | None = None
) -> Alterations:
    """Make the payment the fare of a ride that was entered with a credential."""

    def ask(request: PaymentRequest) -> None:
        request.admission_id, request.admission_credential_id = admission, credential

    def agree(authorization: PaymentAuthorization) -> None:
        authorization.account_number = format_account(payer)

    return Alterations(ask, authorization=agree, phone_key=key)


@asynccontextmanager
async def at_gate(
    folder: Path, category: str = "4111"
) -> AsyncIterator[tuple[Counter, Shards, Fare]]:
    """A carrier's gate, and what pays there: minor units, altered by `fare_of`'s terms."""
    async with at_counter(folder, category=category) as (counter, purchases, shards):
        credential = counter.certify()

        async def fare(minor: int, ride: bytes, **terms: Any) -> Receipt:  # noqa: ANN401
            altered = fare_of(ride, **({"credential": credential} | terms))
            message = counter.pay(minor, fresh_id(counter.clock()), altered)
            return counter.read(await settle(purchases, message))

        yield counter, shards, fare


async def spent(counter: Counter, shards: Shards, since_us: int) -> int:
    """What Ann paid to the shop on the way, since a moment."""
    account = await shards.account(ANN)
    assert account is not None
    key = counter.switch_key.public_key()
    travel = Travel(shards, counter.directory, None, key, counter.clock)  # type: ignore[arg-type]
    return await travel._spent(account, counter.merchant, since_us)


async def test_one_fare_is_paid_for_a_ride(tmp_path: Path) -> None:
    async with at_counter(tmp_path, category="4111") as (counter, purchases, shards):
        credential = counter.certify()
        message = counter.pay(300, altered=fare_of(RIDE, credential))
        first = counter.read(await settle(purchases, message))
        assert first.outcome == SETTLED
        again = counter.read(await settle(purchases, message))
        assert again == first
        second = counter.pay(200, altered=fare_of(RIDE, credential))
        other = counter.read(await settle(purchases, second))
        assert other.decline_reason == d.DECLINE_REASON_ADMISSION_USED
        ride = ride_id("shop", RIDE)
        document = await shards.home_of(ANN).read(lambda reader: reader.document(ride))
        request_id = parse_request_id(message.request_id)
        assert document == Document(ride, DocumentKind.ADMISSION, ANN, request_id)
        assert await balance(shards) == 700
    assert verify_shards(tmp_path, SHARDS).faults == []


async def test_a_shops_payment_is_nobodys_fare(tmp_path: Path) -> None:
    """A cent at a baker's, with a ride's id, made the real fare ADMISSION_USED."""
    async with at_gate(tmp_path, category="5462") as (_, _, fare):
        spoilt = await fare(1, RIDE)
        assert spoilt.decline_reason == d.DECLINE_REASON_ADMISSION_INVALID


async def test_another_carriers_payment_is_not_this_ones_fare(tmp_path: Path) -> None:
    """The ride is named by its carrier, too."""
    async with at_gate(tmp_path) as (_, shards, fare):
        other = ride_id("other-line", RIDE)
        assert other != ride_id("shop", RIDE) != ride_id("shop-", RIDE)
        assert (await fare(1, RIDE)).outcome == SETTLED
        found = await shards.home_of(ANN).read(lambda reader: reader.document(other))
        assert found is None


async def test_only_the_holder_pays_his_ride(tmp_path: Path) -> None:
    """Bob on another shard paid it a second time; Ann from another account of hers as well."""
    async with at_gate(tmp_path) as (counter, shards, fare):
        key = ec.generate_private_key(ec.SECP256R1())
        counter.enroll("phone/bob/pixel", key)
        assert shards.home_of(BOB).place.shard != shards.home_of(ANN).place.shard
        for account, owner in ((BOB, "wallet/bob"), (HERS, "wallet/ann")):
            await shards.submit(open_account(account, owner))
            await shards.submit(deposit(account, 500))
        bobs = await fare(1, RIDE, payer=BOB, key=key)
        assert bobs.decline_reason == d.DECLINE_REASON_PAYER_NOT_HOLDER
        hers = await fare(1, RIDE, payer=HERS)
        assert hers.decline_reason == d.DECLINE_REASON_PAYER_NOT_HOLDER
        assert (await fare(300, RIDE)).outcome == SETTLED
        bobs = await fare(300, RIDE, payer=BOB, key=key)
        assert bobs.decline_reason == d.DECLINE_REASON_PAYER_NOT_HOLDER
    assert verify_shards(tmp_path, SHARDS).faults == []


async def test_a_credential_that_was_taken_back_still_lets_out(tmp_path: Path) -> None:
    """And one that nobody was ever given does not."""
    async with at_gate(tmp_path) as (counter, _, fare):
        credential = counter.certify()
        counter.deny_list.deny(DenyKind.CREDENTIAL, credential, counter.clock() + MINUTE_US)
        assert (await fare(300, RIDE, credential=credential)).outcome == SETTLED
        forged = await fare(300, fresh_id(), credential=bytes(16))
        assert forged.decline_reason == d.DECLINE_REASON_ADMISSION_INVALID


async def test_a_ride_that_was_paid_before_the_upgrade_stays_paid(tmp_path: Path) -> None:
    """Rows of former releases name it by its admission alone."""
    async with at_gate(tmp_path) as (_, shards, fare):
        await shards.submit(replace(pay(ANN, SHOP, 300), admission=RIDE))
        again = await fare(300, RIDE)
        assert again.decline_reason == d.DECLINE_REASON_ADMISSION_USED


async def test_a_declined_fare_leaves_the_ride_open(tmp_path: Path) -> None:
    async with at_gate(tmp_path) as (_, shards, fare):
        poor = await fare(1001, RIDE)
        assert poor.decline_reason == d.DECLINE_REASON_INSUFFICIENT_FUNDS
        await shards.submit(deposit(ANN, 500))
        assert (await fare(1001, RIDE)).outcome == SETTLED


@pytest.mark.parametrize(
    ("ride", "credential"),
    [(b"x", bytes(16)), (RIDE, b""), (RIDE, bytes(15)), (b"", bytes(16))],
)
async def test_a_fare_names_ride_and_holder_in_full(
    tmp_path: Path, ride: bytes, credential: bytes
) -> None:
    async with at_gate(tmp_path) as (_, _, fare):
        receipt = await fare(300, ride, credential=credential)
        assert receipt.decline_reason == d.DECLINE_REASON_REQUEST_MALFORMED


async def test_fares_of_today_are_added_up(tmp_path: Path) -> None:
    """Not what was bought beside, nor what was paid before the day began."""
    async with at_counter(tmp_path, category="4111") as (counter, purchases, shards):
        begin_us, credential = counter.clock(), counter.certify()
        for minor in (100, 150):
            altered = fare_of(fresh_id(counter.clock()), credential)
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
    async with at_gate(tmp_path) as (counter, shards, fare):
        begin_us = counter.clock()
        assert (await fare(100, fresh_id(begin_us))).outcome == SETTLED
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
