"""A purchase through the use case: receipts, retries, replays, and whose payment it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kessai.request_id import parse_request_id
from kessai.v1 import decline_pb2 as d
from kessai.v1 import payment_pb2
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.payment_pb2 import PaymentRequest, SettlePaymentRequest
from server.identity.refusals import RequestIdReused, Unknown
from server.shards.router import Shards
from server.switch.refused import RequestIdStale, Unavailable
from server.switch.register_purchase import RegisterPurchase
from tests.unit.server.domain.commands import JPY, MINUTE_US, deposit, fresh_id, open_account
from tests.unit.server.shards.parts import shards_in, verify_shards
from tests.unit.server.switch.counter import ANN, PHONE, SHOP, TILL, Alterations, Counter

SHARDS = 2
SETTLED = payment_pb2.PAYMENT_OUTCOME_SETTLED
DECLINED = payment_pb2.PAYMENT_OUTCOME_DECLINED
BROKEN = Alterations(sealed=lambda sealed: setattr(sealed, "ciphertext", bytes(100)))


@asynccontextmanager
async def at_counter(
    folder: Path, payee_ledger: int = 978, category: str = "5411"
) -> AsyncIterator[tuple[Counter, RegisterPurchase, Shards]]:
    """A counter whose customer has 10.00."""
    counter = Counter(folder, category=category)
    with shards_in(folder, SHARDS, counter.clock) as shards:
        await shards.submit(open_account(ANN))
        await shards.submit(open_account(SHOP, "merchant/shop", payee_ledger))
        await shards.submit(deposit(ANN, 1000))
        purchases = counter.purchases(shards)
        yield counter, purchases, shards
        purchases.close()
    counter.directory.close()


async def settle(
    purchases: RegisterPurchase, message: SettlePaymentRequest, terminal: str = "till-1"
) -> Signed:
    """Send what a till sends."""
    request_id = parse_request_id(message.request_id)
    return await purchases.settle(message, request_id, "shop", terminal)


async def balance(shards: Shards, account: int = ANN) -> int:
    """Tell a balance."""
    found = await shards.account(account)
    assert found is not None
    return found.balance


async def test_a_purchase_is_settled_and_the_receipt_says_all(tmp_path: Path) -> None:
    async with at_counter(tmp_path) as (counter, purchases, shards):
        message = counter.pay(300)
        receipt = counter.read(await settle(purchases, message))
        found = await shards.find(parse_request_id(message.request_id))
        assert found is not None
        shard, row = found
        assert receipt.request_id == row.request_id
        assert (receipt.outcome, receipt.decline_reason) == (SETTLED, 0)
        assert (receipt.amount.amount_minor, receipt.amount.currency_code) == (300, "EUR")
        position = receipt.log_position
        assert (position.shard, position.sequence, position.chain_hash) == (
            shard, row.sequence, row.chain_hash,
        )  # fmt: skip
        assert receipt.settle_time.ToMicroseconds() == row.book_us
        assert await balance(shards) == 700
    assert verify_shards(tmp_path, SHARDS).faults == []


async def test_a_retry_gets_the_same_receipt_and_pays_once(tmp_path: Path) -> None:
    """Twenty at once, later ones, and one that the phone signed and sealed anew."""
    async with at_counter(tmp_path) as (counter, purchases, shards):
        request_id = fresh_id()
        message = counter.pay(300, request_id)
        receipts = await asyncio.gather(*(settle(purchases, message) for _ in range(20)))
        counter.clock.us += 10 * MINUTE_US
        receipts.append(await settle(purchases, message))
        receipts.append(await counter.find(shards, request_id, "shop", "till-1"))
        assert len({receipt.SerializeToString() for receipt in receipts}) == 1
        assert await balance(shards) == 700


async def test_a_declined_payment_stays_declined(tmp_path: Path) -> None:
    """A retry after more money came in is not another payment."""
    async with at_counter(tmp_path) as (counter, purchases, shards):
        message = counter.pay(1001)
        first = await settle(purchases, message)
        receipt = counter.read(first)
        assert receipt.outcome == DECLINED
        assert receipt.decline_reason == d.DECLINE_REASON_INSUFFICIENT_FUNDS
        assert receipt.log_position.sequence > 0
        await shards.submit(deposit(ANN, 1000))
        assert await settle(purchases, message) == first
        assert await balance(shards) == 2000


async def test_documents_that_do_not_hold_are_declined_and_not_logged(tmp_path: Path) -> None:
    async with at_counter(tmp_path) as (counter, purchases, shards):
        message = counter.pay(300, altered=BROKEN)
        first = await settle(purchases, message)
        receipt = counter.read(first)
        assert receipt.decline_reason == d.DECLINE_REASON_AUTHORIZATION_UNREADABLE
        assert not receipt.HasField("log_position")
        assert receipt.amount.amount_minor == 300
        assert await settle(purchases, message) == first
        with pytest.raises(Unknown):
            await counter.find(shards, parse_request_id(message.request_id))
        assert await balance(shards) == 1000


async def test_a_payload_that_is_no_protobuf_is_declined(tmp_path: Path) -> None:
    async with at_counter(tmp_path) as (counter, purchases, _):
        garbage = Alterations(signed_request=lambda s: setattr(s, "payload", b"\xff\xff"))
        receipt = counter.read(await settle(purchases, counter.pay(altered=garbage)))
        assert receipt.decline_reason == d.DECLINE_REASON_REQUEST_SIGNATURE_INVALID
        assert receipt.amount.amount_minor == 0


async def test_what_was_settled_is_not_declined_afterwards(tmp_path: Path) -> None:
    """Rule 4: the same content gets the first answer, with a new till key and a revoked phone.

    And a till cannot have a receipt that says "declined" for a purchase that was paid.
    """
    async with at_counter(tmp_path) as (counter, purchases, shards):
        request_id = fresh_id()
        message = counter.pay(300, request_id)
        first = await settle(purchases, message)
        broken = SettlePaymentRequest()
        broken.CopyFrom(message)
        broken.sealed_authorization.ciphertext = bytes(100)
        assert await settle(purchases, broken) == first
        counter.directory.revoke(PHONE, counter.clock())
        assert await settle(purchases, message) == first
        counter.enroll(TILL, Ed25519PrivateKey.generate())
        assert await settle(purchases, message) == first
        assert await balance(shards) == 700


async def test_a_forged_request_costs_no_look_up_in_any_log(tmp_path: Path) -> None:
    """Only what the till itself signed, now or under a former key, is looked for."""
    async with at_counter(tmp_path) as (counter, purchases, shards):
        forged = counter.pay(300, altered=Alterations(signed_request=forge))
        known, broken = counter.pay(300), counter.pay(300, altered=BROKEN)
        counter.enroll(TILL, Ed25519PrivateKey.generate())
        renamed = counter.pay(300, altered=Alterations(signed_request=rename))
        shards.close()  # whoever looks into a log now is told so
        for message in (forged, renamed):
            receipt = counter.read(await settle(purchases, message))
            assert receipt.decline_reason == d.DECLINE_REASON_REQUEST_SIGNATURE_INVALID
        for message in (known, broken):
            with pytest.raises(Unavailable):
                await settle(purchases, message)


def forge(signed: Signed) -> None:
    """Leave all as it is but the signature."""
    signed.signature = bytes(64)


def rename(signed: Signed) -> None:
    """Say that a key signed it that nobody has."""
    signed.key_id = bytes(16)


async def test_a_used_id_with_another_purchase_is_refused(tmp_path: Path) -> None:
    async with at_counter(tmp_path) as (counter, purchases, shards):
        request_id = fresh_id()
        await settle(purchases, counter.pay(300, request_id))
        for altered in (Alterations(), BROKEN):
            with pytest.raises(RequestIdReused):
                await settle(purchases, counter.pay(301, request_id, altered))
        assert await balance(shards) == 700


async def test_a_replay_at_another_till_pays_nothing(tmp_path: Path) -> None:
    """The documents name their till; and the other's payment looks as if there were none."""
    async with at_counter(tmp_path) as (counter, purchases, shards):
        counter.enroll("agent/shop/till-2", Ed25519PrivateKey.generate())
        request_id = fresh_id()
        message = counter.pay(300, request_id)
        await settle(purchases, message)
        receipt = counter.read(await settle(purchases, message, "till-2"))
        assert receipt.outcome == DECLINED
        for merchant, terminal in (("shop", "till-2"), ("other", "till-1")):
            with pytest.raises(Unknown):
                await counter.find(shards, request_id, merchant, terminal)
        with pytest.raises(Unknown):
            await counter.find(shards, fresh_id())
        assert await balance(shards) == 700


async def test_only_payments_are_found_as_payments(tmp_path: Path) -> None:
    async with at_counter(tmp_path) as (counter, _, shards):
        row = await shards.submit(deposit(ANN, 5))
        with pytest.raises(Unknown):
            await counter.find(shards, row.request_id)


@pytest.mark.parametrize(
    ("minor", "later_us", "reason"),
    [
        (1001, 0, d.DECLINE_REASON_INSUFFICIENT_FUNDS),
        (300, MINUTE_US, d.DECLINE_REASON_EXPIRED),
        (300, -MINUTE_US, d.DECLINE_REASON_CLOCK_AHEAD),
    ],
)
async def test_money_and_time_are_looked_at(
    tmp_path: Path, minor: int, later_us: int, reason: int
) -> None:
    """The id itself stays young; the documents are too late or too early."""
    async with at_counter(tmp_path) as (counter, purchases, shards):
        shift = Alterations(request=lambda request: moved(request, -later_us))
        receipt = counter.read(await settle(purchases, counter.pay(minor, altered=shift)))
        assert receipt.decline_reason == reason
        assert await balance(shards) == 1000


def moved(request: PaymentRequest, by_us: int) -> None:
    """Move a request in time."""
    for time in (request.create_time, request.expire_time):
        time.FromMicroseconds(time.ToMicroseconds() + by_us)


async def test_a_revoked_phone_is_declined_and_kept(tmp_path: Path) -> None:
    async with at_counter(tmp_path) as (counter, purchases, _):
        counter.directory.revoke(PHONE, counter.clock())
        receipt = counter.read(await settle(purchases, counter.pay()))
        assert receipt.decline_reason == d.DECLINE_REASON_WALLET_REVOKED
        assert receipt.log_position.sequence > 0
    assert verify_shards(tmp_path, SHARDS).faults == []


async def test_a_payee_in_other_money_is_declined(tmp_path: Path) -> None:
    async with at_counter(tmp_path, JPY) as (counter, purchases, shards):
        receipt = counter.read(await settle(purchases, counter.pay()))
        assert receipt.decline_reason == d.DECLINE_REASON_CURRENCY_MISMATCH
        assert await balance(shards) == 1000


async def test_a_payee_without_account_is_declined_until_it_has_one(tmp_path: Path) -> None:
    """That it had none is not remembered; the first payment stays declined."""
    counter = Counter(tmp_path)
    with shards_in(tmp_path, SHARDS) as shards:
        await shards.submit(open_account(ANN))
        await shards.submit(deposit(ANN, 1000))
        purchases = counter.purchases(shards)
        message = counter.pay()
        receipt = counter.read(await settle(purchases, message))
        assert receipt.decline_reason == d.DECLINE_REASON_PAYEE_ACCOUNT_UNKNOWN
        await shards.submit(open_account(SHOP, "merchant/shop"))
        assert counter.read(await settle(purchases, message)) == receipt
        assert counter.read(await settle(purchases, counter.pay())).outcome == SETTLED
        purchases.close()
    counter.directory.close()


async def test_an_old_id_and_an_unknown_merchant_are_refused(tmp_path: Path) -> None:
    async with at_counter(tmp_path) as (counter, purchases, _):
        old = fresh_id(counter.clock() - 4 * MINUTE_US)
        with pytest.raises(RequestIdStale):
            await settle(purchases, counter.pay(request_id=old))
        message = counter.pay()
        request_id = parse_request_id(message.request_id)
        with pytest.raises(Unknown):
            await purchases.settle(message, request_id, "nobody", "till-1")


async def test_a_closed_store_is_unavailable_and_no_fault_of_ours(tmp_path: Path) -> None:
    async with at_counter(tmp_path) as (counter, purchases, shards):
        shards.shard(0)._reading.close()
        with pytest.raises(Unavailable):
            await counter.find(shards, fresh_id())
        purchases.close()
        with pytest.raises(Unavailable):
            await settle(purchases, counter.pay())


async def test_another_phone_does_not_get_the_receipt(tmp_path: Path) -> None:
    """What a phone paid is told again to its own wallet, whatever it sends; to no other."""
    direct = Alterations(request=lambda request: setattr(request, "submitter", 1))
    async with at_counter(tmp_path) as (counter, purchases, _):
        request_id = fresh_id()
        message = counter.pay(300, request_id, direct)
        first = await purchases.settle_direct(message, request_id, "ann")
        assert counter.read(first).outcome == SETTLED
        message.sealed_authorization.ciphertext = bytes(100)
        assert await purchases.settle_direct(message, request_id, "ann") == first
        other = counter.read(await purchases.settle_direct(message, request_id, "bob"))
        assert other.outcome == DECLINED
        assert not other.HasField("log_position")


@pytest.mark.parametrize(
    ("altered", "amount"),
    [
        (Alterations(terminal_key=Ed25519PrivateKey.generate()), None),
        (Alterations(request=lambda r: setattr(r, "merchant_id", "other")), None),
        (Alterations(request=lambda r: setattr(r.total, "currency_code", "XQX")), None),
        (Alterations(request=lambda r: setattr(r.total, "amount_minor", -1)), None),
        (Alterations(request=lambda r: setattr(r, "order_id", "")), None),
        (Alterations(signed_request=lambda s: setattr(s, "payload", b"\xff")), None),
        (BROKEN, 300),
        (Alterations(authorization=lambda a: setattr(a, "terminal_id", "till-2")), 300),
    ],
)
async def test_a_receipt_signs_no_amount_that_nobody_vouched_for(
    tmp_path: Path, altered: Alterations, amount: int | None
) -> None:
    """It was copied from the request: anybody had the switch sign any sum and currency."""
    async with at_counter(tmp_path) as (counter, purchases, _):
        receipt = counter.read(await settle(purchases, counter.pay(300, altered=altered)))
        assert receipt.outcome == DECLINED
        signed = receipt.amount.amount_minor if receipt.HasField("amount") else None
        assert signed == amount
