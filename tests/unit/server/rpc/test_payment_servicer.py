"""PaymentService over a real line: who the till is comes from its certificate alone."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc.aio
import pytest
from cryptography import x509

from kessai.account_number import format_account
from kessai.channel import MAX_REQUEST_BYTES, open_channel
from kessai.v1 import account_pb2, payment_pb2
from kessai.v1 import decline_pb2 as d
from kessai.v1.account_pb2_grpc import AccountServiceStub
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.money_pb2 import Money
from kessai.v1.payment_pb2 import (
    CapturePaymentRequest,
    FollowPaymentsRequest,
    GetPaymentRequest,
    PaymentRequest,
    Receipt,
    SettlePaymentRequest,
    VoidPaymentRequest,
)
from kessai.v1.payment_pb2_grpc import PaymentServiceStub
from tests.unit.server.switch.counter import ANN, PHONE, SHOP, TILL, Alterations, Counter
from tests.unit.server.switch.in_process import (
    LIMIT_S,
    Served,
    fresh_text,
    now_us,
    reason_of,
    served,
)

if TYPE_CHECKING:
    from kessai.v1.account_pb2_grpc import AccountServiceAsyncStub
    from kessai.v1.payment_pb2_grpc import PaymentServiceAsyncStub

BY_PHONE = payment_pb2.PAYMENT_SUBMITTER_PHONE
SETTLED = payment_pb2.PAYMENT_OUTCOME_SETTLED
HELD = payment_pb2.PAYMENT_OUTCOME_HELD


@dataclass
class Till:
    """A till's line, and the parties around it."""

    switch: Served
    counter: Counter
    stub: PaymentServiceAsyncStub

    def pay(self, minor: int = 300, altered: Alterations | None = None) -> SettlePaymentRequest:
        """Go through a purchase now."""
        self.counter.clock.us = now_us()
        request_id = bytes.fromhex(fresh_text().replace("-", ""))
        return self.counter.pay(minor, request_id, altered)

    async def hold(self) -> SettlePaymentRequest:
        """Hold 3.00 of Ann's for a minute."""
        self.counter.clock.us = now_us()
        request_id = bytes.fromhex(fresh_text().replace("-", ""))
        message = self.counter.pay(300, request_id, Alterations(_hold))
        assert self.counter.read(await self.settle(message)).outcome == HELD
        return message

    async def settle(self, message: SettlePaymentRequest) -> Signed:
        """Settle it."""
        return (await self.stub.SettlePayment(message, timeout=LIMIT_S)).receipt


def _hold(request: PaymentRequest) -> None:
    request.terms, request.hold_seconds = payment_pb2.SETTLEMENT_TERMS_HOLD, 60


@asynccontextmanager
async def till(folder: Path) -> AsyncIterator[Till]:
    """A till of a shop, and Ann with 10.00."""
    (folder / "counter").mkdir()
    counter = Counter(folder / "counter")
    async with served(folder / "data") as switch:
        directory, keyring = switch.switch._directory, switch.switch._keyring
        counter.switch_key, counter.sealing_key = keyring.signing_key, keyring.sealing_key
        counter.directory.close()
        counter.directory = directory
        directory.merchants.add(counter.merchant)
        counter.enroll(TILL, counter.terminal_key)
        counter.enroll(PHONE, counter.phone_key)
        async with switch.line() as line:
            await open_accounts(AccountServiceStub(line))
        async with switch.line(TILL) as line:
            yield Till(switch, counter, PaymentServiceStub(line))


async def open_accounts(stub: AccountServiceAsyncStub) -> None:
    """Open Ann's and the shop's account, and pay Ann's cash in."""
    for account, owner in ((ANN, "wallet/ann"), (SHOP, "merchant/shop")):
        branch, number = divmod(account, 10**8)
        request = account_pb2.OpenAccountRequest(
            request_id=fresh_text(), owner=owner, currency_code="EUR", branch=branch, number=number
        )
        await stub.OpenAccount(request, timeout=LIMIT_S)
    deposit = account_pb2.DepositCashRequest(
        request_id=fresh_text(),
        account_number=format_account(ANN),
        amount=Money(amount_minor=1000, currency_code="EUR"),
    )
    await stub.DepositCash(deposit, timeout=LIMIT_S)


async def refusal_of(call: Awaitable[Any]) -> str:
    """Why a call failed."""
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    return reason_of(error.value)


async def test_a_payment_is_settled_told_again_and_told_to_nobody_else(tmp_path: Path) -> None:
    async with till(tmp_path) as at:
        message = at.pay()
        first = await at.settle(message)
        receipt: Receipt = at.counter.read(first)
        assert receipt.outcome == SETTLED
        payload = message.payment_request.payload
        assert receipt.request_hash == hashlib.sha256(payload).digest()
        assert await at.settle(message) == first
        asking = GetPaymentRequest(request_id=message.request_id)
        assert (await at.stub.GetPayment(asking, timeout=LIMIT_S)).receipt == first
        async with at.switch.line("agent/shop/till-2") as line:
            other = PaymentServiceStub(line)
            assert await refusal_of(other.GetPayment(asking)) == "RESOURCE_UNKNOWN"
            again = await other.SettlePayment(message, timeout=LIMIT_S)
            assert at.counter.read(again.receipt).outcome != SETTLED
        never = GetPaymentRequest(request_id=fresh_text())
        assert await refusal_of(at.stub.GetPayment(never)) == "RESOURCE_UNKNOWN"


async def test_what_is_missing_or_malformed_is_named(tmp_path: Path) -> None:
    async with till(tmp_path) as at:
        good = at.pay()
        for field in ("request_id", "payment_request", "sealed_authorization"):
            message = SettlePaymentRequest()
            message.CopyFrom(good)
            message.ClearField(field)
            assert await refusal_of(at.stub.SettlePayment(message)) == f"FIELD_INVALID {field}"
        asking = GetPaymentRequest(request_id=good.request_id.upper())
        assert await refusal_of(at.stub.GetPayment(asking)) == "FIELD_INVALID request_id"


async def test_a_held_payment_is_captured_and_voided_over_the_line(tmp_path: Path) -> None:
    """By its own till alone; what is missing or malformed is named."""
    async with till(tmp_path) as at:
        payments = [(await at.hold()).request_id for _ in range(2)]
        amount = Money(amount_minor=250, currency_code="EUR")
        capture = CapturePaymentRequest(
            request_id=fresh_text(), payment_id=payments[0], amount=amount
        )
        void = VoidPaymentRequest(request_id=fresh_text(), payment_id=payments[1])
        async with at.switch.line("agent/shop/till-2") as line:
            other = PaymentServiceStub(line)
            assert await refusal_of(other.CapturePayment(capture)) == "RESOURCE_UNKNOWN"
            assert await refusal_of(other.VoidPayment(void)) == "RESOURCE_UNKNOWN"
        captured = await at.stub.CapturePayment(capture, timeout=LIMIT_S)
        receipt = at.counter.read(captured.receipt)
        assert (receipt.outcome, receipt.amount, captured.decline_reason) == (SETTLED, amount, 0)
        voided = await at.stub.VoidPayment(void, timeout=LIMIT_S)
        assert at.counter.read(voided.receipt).outcome == payment_pb2.PAYMENT_OUTCOME_VOIDED
        again = VoidPaymentRequest(request_id=fresh_text(), payment_id=payments[0])
        late = await at.stub.VoidPayment(again, timeout=LIMIT_S)
        assert late.decline_reason == d.DECLINE_REASON_HOLD_NOT_PENDING
        assert late.receipt == captured.receipt
        asking = GetPaymentRequest(request_id=payments[0])
        assert (await at.stub.GetPayment(asking, timeout=LIMIT_S)).receipt == captured.receipt
        for field in ("request_id", "payment_id", "amount"):
            wrong = CapturePaymentRequest()
            wrong.CopyFrom(capture)
            wrong.ClearField(field)
            said = await refusal_of(at.stub.CapturePayment(wrong))
            assert said.startswith(f"FIELD_INVALID {field}")
        for bad, field in (
            (VoidPaymentRequest(payment_id=void.payment_id), "request_id"),
            (VoidPaymentRequest(request_id=void.request_id), "payment_id"),
        ):
            assert await refusal_of(at.stub.VoidPayment(bad)) == f"FIELD_INVALID {field}"


async def test_garbage_in_the_documents_is_a_decline(tmp_path: Path) -> None:
    """Not an internal error, whatever the bytes are."""
    async with till(tmp_path) as at:
        for garbage in (b"", b"\xff" * 50, b"\x0a\xff\xff\xff\xff\x0f"):
            message = at.pay()
            message.payment_request.payload = garbage
            receipt = at.counter.read(await at.settle(message))
            assert receipt.outcome == payment_pb2.PAYMENT_OUTCOME_DECLINED


async def test_a_message_that_is_too_large_is_refused(tmp_path: Path) -> None:
    async with till(tmp_path) as at:
        message = at.pay()
        message.sealed_authorization.ciphertext = bytes(MAX_REQUEST_BYTES)
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await at.settle(message)
        assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert at.counter.read(await at.settle(at.pay())).outcome == SETTLED


async def test_a_till_follows_its_payments_across_a_restart_and_is_cut_when_revoked(
    tmp_path: Path,
) -> None:
    """The line breaks with the switch; with the token nothing is missed; revocation ends it."""
    async with till(tmp_path) as at:
        stream = at.stub.FollowPayments(FollowPaymentsRequest(), timeout=LIMIT_S)
        token = (await anext(aiter(stream))).resume_token
        first, second = await at.settle(at.pay()), await at.settle(at.pay())
        told = await anext(aiter(stream))
        assert told.receipt == first
        data = at.switch.folder
    async with served(data) as again, again.line(TILL) as line:
        stub: PaymentServiceAsyncStub = PaymentServiceStub(line)
        for resume_token, missed in ((token, [first, second]), (told.resume_token, [second])):
            request = FollowPaymentsRequest(resume_token=resume_token)
            answers = aiter(stub.FollowPayments(request, timeout=LIMIT_S))
            assert not (await anext(answers)).HasField("receipt")
            assert [(await anext(answers)).receipt for _ in missed] == missed
        bad = FollowPaymentsRequest(resume_token=b"?")
        assert await refusal_of(anext(aiter(stub.FollowPayments(bad)))) == (
            "FIELD_INVALID resume_token"
        )


async def test_a_revoked_till_is_cut_off(tmp_path: Path) -> None:
    """While it follows, with the error that its next call gets."""
    async with till(tmp_path) as at:
        identity = at.switch.device(TILL)
        certificate = x509.load_pem_x509_certificate(identity.chain_pem)
        async with open_channel(identity) as line:
            stub: PaymentServiceAsyncStub = PaymentServiceStub(line)
            answers = aiter(stub.FollowPayments(FollowPaymentsRequest(), timeout=LIMIT_S))
            await anext(answers)
            at.switch.switch._directory._revoked.add(certificate.serial_number)
            at.switch.switch._guard._on_revoke(TILL)
            assert await refusal_of(anext(answers)) == "CERTIFICATE_REFUSED"


async def test_a_phone_submits_a_direct_payment_and_the_till_is_told(tmp_path: Path) -> None:
    """By the phone's line only, and only by a phone of the wallet that signed."""
    direct = Alterations(request=lambda r: setattr(r, "submitter", BY_PHONE))
    async with till(tmp_path) as at:
        answers = aiter(at.stub.FollowPayments(FollowPaymentsRequest(), timeout=LIMIT_S))
        await anext(answers)
        message = at.pay(300, direct)
        relayed = at.counter.read(await at.settle(message))
        assert relayed.decline_reason == d.DECLINE_REASON_SUBMITTER_MISMATCH
        async with at.switch.line("phone/bob/other") as line:
            stranger = await PaymentServiceStub(line).SettlePayment(message, timeout=LIMIT_S)
            reason = at.counter.read(stranger.receipt).decline_reason
            assert reason == d.DECLINE_REASON_WALLET_NOT_CALLER
        async with at.switch.line(PHONE) as line:
            phone: PaymentServiceAsyncStub = PaymentServiceStub(line)
            paid = (await phone.SettlePayment(message, timeout=LIMIT_S)).receipt
            assert at.counter.read(paid).outcome == SETTLED
            assert (await phone.SettlePayment(message, timeout=LIMIT_S)).receipt == paid
            theirs = await phone.SettlePayment(at.pay(300), timeout=LIMIT_S)
            reason = at.counter.read(theirs.receipt).decline_reason
            assert reason == d.DECLINE_REASON_SUBMITTER_MISMATCH
            asking = GetPaymentRequest(request_id=message.request_id)
            assert (await phone.GetPayment(asking, timeout=LIMIT_S)).receipt == paid
            unknown = at.pay(300, Alterations(request=lambda r: setattr(r, "merchant_id", "no")))
            forged = await phone.SettlePayment(unknown, timeout=LIMIT_S)
            reason = at.counter.read(forged.receipt).decline_reason
            assert reason == d.DECLINE_REASON_REQUEST_SIGNATURE_INVALID
        assert (await anext(answers)).receipt == paid
        asking = GetPaymentRequest(request_id=message.request_id)
        async with at.switch.line("phone/bob/other") as line:
            bob: PaymentServiceAsyncStub = PaymentServiceStub(line)
            assert await refusal_of(bob.GetPayment(asking)) == "RESOURCE_UNKNOWN"
        assert (await at.stub.GetPayment(asking, timeout=LIMIT_S)).receipt == paid
