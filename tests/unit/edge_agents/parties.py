"""The other parties of a register in these tests: a switch and phones that sign real documents.

The switch is a real grpc.aio server with a servicer that can be told to fail; the phone answers tap
messages over a MessageLink in memory.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

from edge_agents.links.message_link import LinkLost, MessageLink
from edge_agents.payment_request import PendingPayment, RequestMaker, Terminal
from kessai.envelope import (
    MERCHANT_CERTIFICATE,
    PAYMENT_AUTHORIZATION,
    RECEIPT,
    raw_public_key,
    sign,
)
from kessai.money import Money
from kessai.seal import seal
from kessai.settlement_terms import is_held_first
from kessai.v1 import decline_pb2, payment_pb2, tap_pb2
from kessai.v1.decline_pb2 import DeclineReason
from kessai.v1.envelope_pb2 import Sealed, Signed
from kessai.v1.error_pb2 import ErrorReason
from kessai.v1.payment_pb2 import (
    CapturePaymentRequest,
    CapturePaymentResponse,
    FollowPaymentsRequest,
    FollowPaymentsResponse,
    GetPaymentRequest,
    GetPaymentResponse,
    LineItem,
    MerchantCertificate,
    PaymentAuthorization,
    PaymentOutcome,
    PaymentRequest,
    PaymentResult,
    Receipt,
    SettlePaymentRequest,
    SettlePaymentResponse,
    SubmitBatchRequest,
    SubmitBatchResponse,
    VoidPaymentRequest,
    VoidPaymentResponse,
)
from kessai.v1.payment_pb2_grpc import PaymentServiceServicer, add_PaymentServiceServicer_to_server
from kessai.v1.tap_pb2 import TapRequest, TapResponse

NOW_US = 1_790_000_000_000_000
SWITCH_KEY = Ed25519PrivateKey.generate()
SEALING_KEY = X25519PrivateKey.generate()
SIGNING_KEY = Ed25519PrivateKey.generate()
WAIT_S = 60.0

Context = grpc.aio.ServicerContext[Any, Any]
Step = str | grpc.StatusCode | Callable[[SettlePaymentRequest], Signed]

SETTLED = payment_pb2.PAYMENT_OUTCOME_SETTLED
DECLINED = payment_pb2.PAYMENT_OUTCOME_DECLINED
HELD = payment_pb2.PAYMENT_OUTCOME_HELD
VOIDED = payment_pb2.PAYMENT_OUTCOME_VOIDED
EXPIRED = payment_pb2.PAYMENT_OUTCOME_EXPIRED


def make_terminal() -> Terminal:
    """Make a terminal that the test's switch has certified."""
    certificate = MerchantCertificate(
        merchant_id="corner-shop",
        terminal_id="till-1",
        display_name="Corner Shop",
        category_code="5411",
        terminal_public_key=raw_public_key(SIGNING_KEY.public_key()),
    )
    certificate.issue_time.FromMicroseconds(NOW_US)
    certificate.expire_time.FromMicroseconds(NOW_US + 10**13)
    return Terminal(
        merchant_id="corner-shop",
        terminal_id="till-1",
        display_name="Corner Shop",
        signing_key=SIGNING_KEY,
        merchant_certificate=sign(MERCHANT_CERTIFICATE, certificate, SWITCH_KEY),
        switch_key=SWITCH_KEY.public_key(),
    )


def make_pending(
    order_id: str = "till-1-000001", minor: int = 434, now_us: Callable[[], int] = lambda: NOW_US
) -> PendingPayment:
    """Make a payment request of the terminal."""
    item = LineItem(
        gtin="09506000134352", description="Rye bread 1 kg", quantity=1, unit_price_minor=minor
    )
    maker = RequestMaker(make_terminal(), 60, now_us, os.urandom)
    return maker.make(order_id, [item], Money(minor, "EUR"))


def make_receipt(
    pending: PendingPayment,
    reason: DeclineReason.ValueType = decline_pb2.DECLINE_REASON_UNSPECIFIED,
    /,
    **changes: object,
) -> Receipt:
    """Make the receipt that a switch gives for a request, with some fields changed."""
    fields: dict[str, object] = {
        "request_id": pending.request_id,
        "request_hash": pending.request_hash,
        "outcome": DECLINED if reason else SETTLED,
        "decline_reason": reason,
        "amount": pending.request.total,
    }
    receipt = Receipt(**(fields | changes))  # type: ignore[arg-type]
    receipt.log_position.shard = 0
    receipt.log_position.sequence = 42
    receipt.log_position.chain_hash = bytes(range(32))
    receipt.settle_time.FromMicroseconds(NOW_US)
    return receipt


def pending_of(request: SettlePaymentRequest) -> PendingPayment:
    """Read the payment request that a switch was sent."""
    signed = request.payment_request
    return PendingPayment(signed, PaymentRequest.FromString(signed.payload))


def sign_receipt(receipt: Receipt, key: Ed25519PrivateKey = SWITCH_KEY) -> Signed:
    """Sign a receipt, by default as the switch."""
    return sign(RECEIPT, receipt, key)


def make_sealed(pending: PendingPayment) -> Sealed:
    """Make a sealed authorisation as a phone does."""
    request = pending.request
    authorization = PaymentAuthorization(
        request_hash=pending.request_hash,
        merchant_id=request.merchant_id,
        terminal_id=request.terminal_id,
        amount=request.total,
        account_number="00010000004217",
        customer_verification=payment_pb2.CUSTOMER_VERIFICATION_DEVICE_PIN,
        expire_time=request.expire_time,
    )
    key = ec.generate_private_key(ec.SECP256R1())
    signed = sign(PAYMENT_AUTHORIZATION, authorization, key)
    return seal(signed.SerializeToString(), SEALING_KEY.public_key(), pending.request_hash)


class Switch(PaymentServiceServicer):
    """A switch that knows every payer; `plan` says how each next SettlePayment call ends.

    A plan is "settle", "lose" or "crash" (settle, but answer UNAVAILABLE or INTERNAL), "hang", a
    gRPC status code, an ErrorReason's name ("DOMAIN/REASON" for another domain's), or a function of
    the request that gives the receipt.
    """

    def __init__(self, *plan: Step) -> None:
        self.plan = list(plan)
        self.received: list[bytes] = []
        self.arrived = asyncio.Event()
        self.known: dict[str, Signed] = {}
        self.find_plan: list[Step] = []
        self.follow_plan: list[Step] = []
        self.resumed: list[bytes] = []
        self.followed = asyncio.Event()
        self.followers: list[asyncio.Queue[Signed | None]] = []
        self.finish_plan: list[Step] = []
        self.requests: dict[str, PendingPayment] = {}

    async def SettlePayment(
        self, request: SettlePaymentRequest, context: Context
    ) -> SettlePaymentResponse:
        self.received.append(request.SerializeToString(deterministic=True))
        self.arrived.set()
        step = self.plan.pop(0) if self.plan else "settle"
        await fail_if_planned(step, context)
        if callable(step):
            return SettlePaymentResponse(receipt=step(request))
        self.requests[request.request_id] = pending_of(request)
        receipt = self.known.setdefault(request.request_id, _settle(request))
        if step == "lose":
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the line broke")
        if step == "crash":
            await context.abort(grpc.StatusCode.INTERNAL, "the switch broke")
        return SettlePaymentResponse(receipt=receipt)

    async def GetPayment(self, request: GetPaymentRequest, context: Context) -> GetPaymentResponse:
        if self.find_plan:
            await fail_if_planned(self.find_plan.pop(0), context)
        if request.request_id not in self.known:
            await fail_if_planned("RESOURCE_UNKNOWN", context)
        return GetPaymentResponse(receipt=self.known[request.request_id])

    async def FollowPayments(
        self, request: FollowPaymentsRequest, context: Context
    ) -> AsyncIterator[FollowPaymentsResponse]:
        """Stream what `tell` says; None ends the stream as a switch that stops."""
        self.resumed.append(request.resume_token)
        if self.follow_plan:
            await fail_if_planned(self.follow_plan.pop(0), context)
        waiting: asyncio.Queue[Signed | None] = asyncio.Queue()
        self.followers.append(waiting)
        self.followed.set()
        yield FollowPaymentsResponse(resume_token=b"0")
        count = 0
        while (receipt := await waiting.get()) is not None:
            count += 1
            yield FollowPaymentsResponse(receipt=receipt, resume_token=b"%d" % count)

    def tell(self, receipt: Signed | None) -> None:
        """Tell every follower a receipt, or end every stream."""
        for waiting in self.followers:
            waiting.put_nowait(receipt)
        if receipt is None:
            self.followers.clear()
            self.followed.clear()

    async def SubmitBatch(
        self, requests: AsyncIterator[SubmitBatchRequest], context: Context
    ) -> AsyncIterator[SubmitBatchResponse]:
        """Settle each payment by the plan; the last of a message is answered first."""
        async for request in requests:
            results = [await self._one_of_batch(payment, context) for payment in request.payments]
            yield SubmitBatchResponse(results=reversed(results))

    async def _one_of_batch(self, payment: SettlePaymentRequest, context: Context) -> PaymentResult:
        self.received.append(payment.SerializeToString(deterministic=True))
        step = self.plan.pop(0) if self.plan else "settle"
        result = PaymentResult(request_id=payment.request_id)
        if isinstance(step, str) and step.isupper():
            result.error.reason = ErrorReason.Value(f"ERROR_REASON_{step}")
            return result
        await fail_if_planned(step, context)
        if callable(step):
            result.receipt.CopyFrom(step(payment))
        else:
            result.receipt.CopyFrom(self.known.setdefault(payment.request_id, _settle(payment)))
        return result

    async def CapturePayment(
        self, request: CapturePaymentRequest, context: Context
    ) -> CapturePaymentResponse:
        receipt, decline = await self._finish(request.payment_id, SETTLED, context)
        return CapturePaymentResponse(receipt=receipt, decline_reason=decline)

    async def VoidPayment(
        self, request: VoidPaymentRequest, context: Context
    ) -> VoidPaymentResponse:
        receipt, decline = await self._finish(request.payment_id, VOIDED, context)
        return VoidPaymentResponse(receipt=receipt, decline_reason=decline)

    async def _finish(
        self, payment_id: str, outcome: PaymentOutcome.ValueType, context: Context
    ) -> tuple[Signed, DeclineReason.ValueType]:
        step = self.finish_plan.pop(0) if self.finish_plan else "finish"
        await fail_if_planned(step, context)
        known = Receipt.FromString(self.known[payment_id].payload)
        if known.outcome != HELD:
            return self.known[payment_id], decline_pb2.DECLINE_REASON_HOLD_NOT_PENDING
        if step == "expire":
            outcome = EXPIRED
        receipt = sign_receipt(make_receipt(self.requests[payment_id], outcome=outcome))
        self.known[payment_id] = receipt
        if step == "lose":
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the line broke")
        return receipt, decline_pb2.DECLINE_REASON_UNSPECIFIED


@asynccontextmanager
async def serve(switch: Switch) -> AsyncIterator[grpc.aio.Channel]:
    """Serve a switch on a free port, and give a channel to it."""
    server = grpc.aio.server()
    add_PaymentServiceServicer_to_server(switch, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel
    finally:
        await server.stop(None)


def _settle(request: SettlePaymentRequest) -> Signed:
    pending = pending_of(request)
    outcome = HELD if is_held_first(pending.request) else SETTLED
    return sign_receipt(make_receipt(pending, outcome=outcome))


async def fail_if_planned(step: Step, context: Context) -> None:
    if isinstance(step, grpc.StatusCode):
        await context.abort(step, "as planned")
    if step == "hang":
        await asyncio.sleep(3600)
    if isinstance(step, str) and step.isupper():
        domain, _, reason = step.rpartition("/")
        info = error_details_pb2.ErrorInfo(reason=reason, domain=domain.lower() or "kessai")
        detail = any_pb2.Any()
        detail.Pack(info)
        status = status_pb2.Status(code=9, message="as planned", details=[detail])
        metadata = (("grpc-status-details-bin", status.SerializeToString()),)
        await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "as planned", metadata)


class Phone:
    """A customer's phone; `decide` gives the status that each look at the request has."""

    def __init__(self, *decisions: tap_pb2.TapStatus.ValueType) -> None:
        self.decisions = list(decisions)
        self.seen: list[TapRequest] = []
        self.sealed: dict[bytes, Sealed] = {}
        self.receipts: list[Receipt] = []
        self.leave_after: int | None = None
        self.takes_receipts = True

    async def exchange(self, message: bytes, timeout_s: float) -> bytes:
        """Answer a tap message, or be gone."""
        if self.leave_after is not None and len(self.seen) >= self.leave_after:
            raise LinkLost("the phone left")
        request = TapRequest.FromString(message)
        self.seen.append(request)
        answer = self._answer(request)
        answer.session_id, answer.sequence = request.session_id, request.sequence
        return answer.SerializeToString()

    def _answer(self, request: TapRequest) -> TapResponse:
        match request.WhichOneof("body"):
            case "present_payment":
                signed = request.present_payment.payment_request
                pending = PendingPayment(signed, PaymentRequest.FromString(signed.payload))
                self.sealed.setdefault(pending.request_hash, make_sealed(pending))
                return self._decide(pending.request_hash)
            case "inquire_payment":
                request_hash = request.inquire_payment.request_hash
                if request_hash not in self.sealed:
                    return TapResponse(status=tap_pb2.TAP_STATUS_REQUEST_UNKNOWN)
                return self._decide(request_hash)
        receipt = Receipt.FromString(request.deliver_receipt.receipt.payload)
        if receipt.request_hash not in self.sealed or not self.takes_receipts:
            return TapResponse(status=tap_pb2.TAP_STATUS_RECEIPT_REFUSED)
        self.receipts.append(receipt)
        return TapResponse(status=tap_pb2.TAP_STATUS_RECEIPT_ACCEPTED)

    def _decide(self, request_hash: bytes) -> TapResponse:
        status = self.decisions.pop(0) if self.decisions else tap_pb2.TAP_STATUS_AUTHORIZED
        if status != tap_pb2.TAP_STATUS_AUTHORIZED:
            return TapResponse(status=status)
        return TapResponse(status=status, sealed_authorization=self.sealed[request_hash])


class Field:
    """A reader's field into which a test puts phones; a Radio."""

    def __init__(self) -> None:
        self._phones: asyncio.Queue[MessageLink] = asyncio.Queue()
        self.code: str | None = None
        self.next_codes: list[str] = []
        self.is_ready = True

    def new_code(self) -> None:
        """Take the next code, if the test has one ready."""
        self.code = self.next_codes.pop(0) if self.next_codes else self.code

    def put(self, phone: MessageLink) -> None:
        """Hold a phone to the reader."""
        self._phones.put_nowait(phone)

    async def wait_for_phone(self, timeout_s: float) -> MessageLink | None:
        """Wait for a phone."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self._phones.get()
        except TimeoutError:
            return None

    async def wait_until_gone(self, timeout_s: float) -> bool:
        """Wait until the phone is gone: these are gone at once."""
        return True

    async def close(self) -> None:
        """Switch the field off."""
