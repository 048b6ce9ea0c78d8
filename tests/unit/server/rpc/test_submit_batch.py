"""SubmitBatch over a real line: each payment is answered singly, whatever becomes of the others."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from cryptography import x509

from kessai.channel import open_channel
from kessai.device_identity import DeviceIdentity
from kessai.request_id import format_request_id, new_request_id
from kessai.v1 import decline_pb2, error_pb2, payment_pb2
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.payment_pb2 import (
    PaymentAuthorization,
    PaymentRequest,
    PaymentResult,
    SettlePaymentRequest,
    SubmitBatchRequest,
)
from kessai.v1.payment_pb2_grpc import PaymentServiceStub
from server.domain.directory import IssuedCertificate
from server.rpc.payment_servicer import BATCH_LIMIT
from tests.unit.server.rpc.test_payment_servicer import Till, till
from tests.unit.server.switch.counter import TILL, Alterations
from tests.unit.server.switch.in_process import LIMIT_S, now_us, reason_of

HOUR_US = 3_600_000_000
SETTLED, DECLINED = (
    payment_pb2.PAYMENT_OUTCOME_SETTLED,
    payment_pb2.PAYMENT_OUTCOME_DECLINED,
)


async def submit(
    at: Till, *batches: Sequence[SettlePaymentRequest], line: grpc.aio.Channel | None = None
) -> list[PaymentResult]:
    """Send batches over one stream, one after another at once; all results."""
    stub: Any = PaymentServiceStub(line) if line else at.stub
    requests = aiter_of(*(SubmitBatchRequest(payments=batch) for batch in batches))
    return await collect(stub.SubmitBatch(requests, timeout=LIMIT_S), [])


async def collect(call: Any, results: list[PaymentResult]) -> list[PaymentResult]:  # noqa: ANN401
    """Add all results of a stream to a list."""
    async for response in call:
        results += response.results
    return results


def receipts_of(results: Sequence[PaymentResult]) -> dict[str, Signed]:
    """The receipts by request id; every result must have one."""
    assert all(result.HasField("receipt") for result in results), results
    return {result.request_id: result.receipt for result in results}


async def test_payments_of_a_batch_settle_in_one_commit_and_again_get_the_first_answers(
    tmp_path: Path,
) -> None:
    """Ann has 10.00, so the fourth of 3.00 is declined; a new stream resumes with the same ids."""
    async with till(tmp_path) as at:
        batch = [at.pay(300) for _ in range(4)]
        first = receipts_of(await submit(at, batch))
        told = [at.counter.read(first[payment.request_id]) for payment in batch]
        assert sorted(receipt.outcome for receipt in told) == [SETTLED] * 3 + [DECLINED]
        # A group has one booking time.
        assert len({receipt.settle_time.ToMicroseconds() for receipt in told}) == 1
        assert receipts_of(await submit(at, batch[:2], batch[2:])) == first
        assert (await at.settle(batch[0])) == first[batch[0].request_id]


async def test_an_error_of_one_payment_is_told_singly(tmp_path: Path) -> None:
    """The others of its message, and the messages after it, are settled."""
    async with till(tmp_path) as at:
        good, later = at.pay(100), at.pay(100)
        malformed, unsealed = at.pay(100), at.pay(100)
        malformed.request_id = "x" * 50
        unsealed.ClearField("sealed_authorization")
        reused = at.counter.pay(200, bytes.fromhex(good.request_id.replace("-", "")))
        old_id = new_request_id(now_us() // 1000 - 3_600_000, os.urandom)
        stale = at.counter.pay(100, old_id)
        forged = at.counter.pay(
            100, new_request_id(now_us() // 1000, os.urandom),
            Alterations(signed_request=lambda signed: setattr(signed, "signature", bytes(64))),
        )  # fmt: skip
        assert (await at.settle(good)) == (await at.settle(good))
        results = await submit(at, [malformed, unsealed, reused, stale, forged], [later])
        by_id = {result.request_id: result for result in results}
        assert len(by_id) == len(results) == 6

        def error_of(request_id: str) -> tuple[str, str]:
            error = by_id[request_id].error
            assert error.message
            reason = error_pb2.ErrorReason.Name(error.reason)
            return reason.removeprefix("ERROR_REASON_"), error.field

        assert error_of("x" * 36) == ("FIELD_INVALID", "request_id")
        assert error_of(unsealed.request_id) == ("FIELD_INVALID", "sealed_authorization")
        assert error_of(reused.request_id) == ("REQUEST_ID_REUSED", "")
        assert error_of(format_request_id(old_id)) == ("REQUEST_ID_STALE", "")
        assert by_id[format_request_id(old_id)].error.rule == "too_old"
        declined = at.counter.read(by_id[forged.request_id].receipt)
        assert declined.decline_reason == decline_pb2.DECLINE_REASON_REQUEST_SIGNATURE_INVALID
        assert at.counter.read(by_id[later.request_id].receipt).outcome == SETTLED


async def test_deferred_payments_settle_hours_later(tmp_path: Path) -> None:
    """What a terminal accepted without the switch; beside one that is new."""
    async with till(tmp_path) as at:
        fresh = at.pay(100)
        at.counter.clock.us -= 5 * HOUR_US
        begin_us = at.counter.clock.us

        def defer(request: PaymentRequest) -> None:
            request.deferred_expire_time.FromMicroseconds(begin_us + 24 * HOUR_US)

        def agree(authorization: PaymentAuthorization) -> None:
            authorization.expire_time.FromMicroseconds(begin_us + 24 * HOUR_US)

        altered = Alterations(request=defer, authorization=agree)
        old = [at.counter.pay(100, an_id(at), altered) for _ in range(2)]
        told = receipts_of(await submit(at, [*old, fresh]))
        assert {at.counter.read(receipt).outcome for receipt in told.values()} == {SETTLED}
        assert receipts_of(await submit(at, old)) == {p.request_id: told[p.request_id] for p in old}


def an_id(at: Till) -> bytes:
    """A request id of the counter's time."""
    return new_request_id(at.counter.clock.us // 1000, os.urandom)


async def test_one_id_twice_in_a_message(tmp_path: Path) -> None:
    """The same content gets the same receipt twice, other content an error."""
    async with till(tmp_path) as at:
        payment = at.pay(100)
        other = at.counter.pay(200, bytes.fromhex(payment.request_id.replace("-", "")))
        results = await submit(at, [payment, payment, other])
        receipts = [result.receipt for result in results if result.HasField("receipt")]
        errors = [result.error.reason for result in results if result.HasField("error")]
        assert len(receipts) == 2
        assert receipts[0] == receipts[1]
        assert errors == [error_pb2.ERROR_REASON_REQUEST_ID_REUSED]


async def test_what_finds_no_room_is_overloaded_and_may_come_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing was done with it; the stream goes on."""
    async with till(tmp_path) as at:
        batch = [at.pay(100) for _ in range(3)]
        for lane in (
            at.switch.switch._shards.shard(0)._writing,
            at.switch.switch._purchases._verifying,
        ):
            with monkeypatch.context() as patch:
                patch.setattr(lane, "_waiting_limit", 0)
                reasons = {result.error.reason for result in await submit(at, batch[:2], batch[2:])}
            assert reasons == {error_pb2.ERROR_REASON_OVERLOADED}
        told = receipts_of(await submit(at, batch))
        assert {at.counter.read(receipt).outcome for receipt in told.values()} == {SETTLED}


async def test_a_shard_that_cannot_is_told_singly(tmp_path: Path) -> None:
    async with till(tmp_path) as at:
        at.switch.switch._shards.shard(0)._writing.close()
        results = await submit(at, [at.pay(100), at.pay(100)])
        reasons = [result.error.reason for result in results]
        assert reasons == [error_pb2.ERROR_REASON_STORE_UNAVAILABLE] * 2


@pytest.mark.parametrize("count", [0, BATCH_LIMIT + 1])
async def test_a_message_of_a_wrong_size_ends_the_stream_after_what_came_before(
    tmp_path: Path, count: int
) -> None:
    async with till(tmp_path) as at:
        payment = at.pay(100)
        wrong = SubmitBatchRequest(payments=[SettlePaymentRequest()] * count)
        call: Any = at.stub.SubmitBatch(
            aiter_of(SubmitBatchRequest(payments=[payment]), wrong), timeout=LIMIT_S
        )
        results: list[PaymentResult] = []
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await collect(call, results)
        assert reason_of(ended.value) == "FIELD_INVALID payments"
        assert list(receipts_of(results)) == [payment.request_id]


async def test_a_batch_is_the_caller_s_own(tmp_path: Path) -> None:
    """Another till's payments are declined; a till of no merchant settles nothing."""
    async with till(tmp_path) as at:
        payment = at.pay(100)
        async with at.switch.line("agent/shop/till-2") as line:
            told = receipts_of(await submit(at, [payment], line=line))
        reason = at.counter.read(told[payment.request_id]).decline_reason
        assert reason == decline_pb2.DECLINE_REASON_REQUEST_SIGNATURE_INVALID
        async with at.switch.line("agent/nobody/till-1") as line:
            [result] = await submit(at, [payment], line=line)
        assert result.error.reason == error_pb2.ERROR_REASON_RESOURCE_UNKNOWN
        assert at.counter.read(await at.settle(payment)).outcome == SETTLED


async def test_a_revoked_till_s_stream_is_cut(tmp_path: Path) -> None:
    """While it waits for the next message, which then is not read."""
    async with till(tmp_path) as at:
        identity = at.switch.device(TILL)
        async with open_channel(identity) as line:
            call: Any = PaymentServiceStub(line).SubmitBatch(timeout=LIMIT_S)
            payment = at.pay(100)
            await call.write(SubmitBatchRequest(payments=[payment]))
            response = await call.read()
            assert at.counter.read(response.results[0].receipt).outcome == SETTLED
            revoke(at, identity)
            with pytest.raises(grpc.aio.AioRpcError) as ended:
                await asyncio.wait_for(call.read(), LIMIT_S)
            assert reason_of(ended.value) == "CERTIFICATE_REFUSED"


async def test_a_revoked_till_that_does_not_read_is_cut_too(tmp_path: Path) -> None:
    """Its answers have filled the line, so the switch has stopped reading; then it is cut."""
    async with till(tmp_path) as at:
        identity = at.switch.device(TILL)
        async with open_channel(identity) as line:
            call: Any = PaymentServiceStub(line).SubmitBatch(timeout=LIMIT_S)
            writing = await write_until_nothing_is_read(call)
            revoke(at, identity)
            async with asyncio.timeout(LIMIT_S):
                while at.switch.switch._guard._streams:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            writing.cancel()


async def write_until_nothing_is_read(call: Any) -> asyncio.Task[None]:  # noqa: ANN401
    """Send messages that are answered at once, until one finds no room; that one comes back."""
    unknown = [SettlePaymentRequest(request_id="x" * 36)] * BATCH_LIMIT
    async with asyncio.timeout(LIMIT_S):
        while True:
            writing = asyncio.create_task(call.write(SubmitBatchRequest(payments=unknown)))
            _, waiting = await asyncio.wait({writing}, timeout=0.5)
            if waiting:
                return writing


def revoke(at: Till, identity: DeviceIdentity) -> None:
    """Enter the certificate as issued, and revoke its device."""
    serial = x509.load_pem_x509_certificate(identity.chain_pem).serial_number
    certificate = IssuedCertificate(serial, TILL, os.urandom(16), b"", b"", b"", now_us() * 2)
    at.counter.directory.add_certificate(certificate)
    assert at.counter.directory.revoke(TILL, now_us())


async def aiter_of(*requests: SubmitBatchRequest) -> AsyncIterator[SubmitBatchRequest]:
    """Give requests one after another."""
    for request in requests:
        yield request
