"""PaymentService on the wire: translates, decides nothing.

What is decided is decided in `server/switch/register_purchase.py`, `held_payments.py`,
`outcomes.py`, `followers.py`, and for a stream of batches through `submit_batch.py`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import grpc.aio

from kessai.v1.envelope_pb2 import Signed
from kessai.v1.payment_pb2 import (
    CapturePaymentRequest,
    CapturePaymentResponse,
    FollowPaymentsRequest,
    FollowPaymentsResponse,
    GetPaymentRequest,
    GetPaymentResponse,
    PaymentError,
    PaymentResult,
    SettlePaymentRequest,
    SettlePaymentResponse,
    SubmitBatchRequest,
    SubmitBatchResponse,
    VoidPaymentRequest,
    VoidPaymentResponse,
)
from kessai.v1.payment_pb2_grpc import PaymentServiceServicer
from server.identity.callers import CallerKind, current_caller
from server.identity.refusals import Refusal
from server.rpc import fields
from server.rpc.errors import RpcError, field_invalid, from_refusal
from server.rpc.flow import side_by_side
from server.switch.followers import Followers
from server.switch.held_payments import HeldPayments
from server.switch.outcomes import Outcomes, wallet
from server.switch.register_purchase import RegisterPurchase
from server.switch.submit_batch import SubmitBatch, Submitted
from server.switch.ticket_sales import TicketSales

BATCH_LIMIT = 200
BATCHES_AT_ONCE = 4

_ID_LENGTH = 36

Context = grpc.aio.ServicerContext[Any, Any]


class PaymentServicer(PaymentServiceServicer):
    """Serves terminals and phones; who it is stands in the line's certificate."""

    def __init__(
        self,
        purchases: RegisterPurchase,
        holds: HeldPayments,
        outcomes: Outcomes,
        followers: Followers,
        tickets: TicketSales,
        submit_batch: SubmitBatch,
    ) -> None:
        self._purchases, self._holds = purchases, holds
        self._outcomes, self._followers = outcomes, followers
        self._tickets, self._submit_batch = tickets, submit_batch

    async def SettlePayment(
        self, request: SettlePaymentRequest, context: Context
    ) -> SettlePaymentResponse:
        """Settle a payment; a decline comes back as a receipt."""
        request_id, caller = _check(request), current_caller()
        if caller.kind is CallerKind.PHONE:
            receipt = await self._purchases.settle_direct(request, request_id, caller.path[0])
        else:
            receipt = await self._purchases.settle(request, request_id, *caller.path)
        tickets = await self._tickets.bought_by(receipt, request.payment_request)
        return SettlePaymentResponse(receipt=receipt, tickets=tickets)

    async def GetPayment(self, request: GetPaymentRequest, context: Context) -> GetPaymentResponse:
        """Tell the outcome of a payment that the caller asked for or agreed to."""
        request_id = fields.request_id(request.request_id)
        receipt = await self._outcomes.receipt(request_id, _owner())
        tickets = await self._tickets.bought_with(request_id)
        return GetPaymentResponse(receipt=receipt, tickets=tickets)

    async def FollowPayments(
        self, request: FollowPaymentsRequest, context: Context
    ) -> AsyncIterator[FollowPaymentsResponse]:
        """Tell the outcomes of the caller's own payments as they are booked."""
        async for told in self._followers.follow(_owner(), request.resume_token):
            yield FollowPaymentsResponse(receipt=told.receipt, resume_token=told.resume_token)

    async def CapturePayment(
        self, request: CapturePaymentRequest, context: Context
    ) -> CapturePaymentResponse:
        """Capture one of the terminal's own held payments."""
        request_id = fields.request_id(request.request_id)
        payment_id = fields.request_id(request.payment_id, "payment_id")
        amount = fields.positive_money(request.amount)
        receipt, decline = await self._holds.capture(request_id, payment_id, amount, _owner())
        return CapturePaymentResponse(receipt=receipt, decline_reason=decline)

    async def VoidPayment(
        self, request: VoidPaymentRequest, context: Context
    ) -> VoidPaymentResponse:
        """Void one of the terminal's own held payments."""
        request_id = fields.request_id(request.request_id)
        payment_id = fields.request_id(request.payment_id, "payment_id")
        receipt, decline = await self._holds.void(request_id, payment_id, _owner())
        return VoidPaymentResponse(receipt=receipt, decline_reason=decline)

    async def SubmitBatch(
        self, requests: AsyncIterator[SubmitBatchRequest], context: Context
    ) -> AsyncIterator[SubmitBatchResponse]:
        """Settle batches as they come; each payment is answered singly."""
        async with aclosing(side_by_side(requests, self._submit, BATCHES_AT_ONCE)) as responses:
            async for response in responses:
                yield response

    def _submit(self, request: SubmitBatchRequest) -> AsyncIterator[SubmitBatchResponse]:
        if not 1 <= len(request.payments) <= BATCH_LIMIT:
            raise field_invalid("payments", f"must be 1 to {BATCH_LIMIT}")
        batch, malformed = [], []
        merchant_id, terminal_id = current_caller().path
        for payment in request.payments:
            try:
                batch.append(Submitted(payment, _check(payment), merchant_id, terminal_id))
            except RpcError as error:
                malformed.append(_result(payment, error))
        return self._results(batch, malformed)

    async def _results(
        self, batch: list[Submitted], malformed: list[PaymentResult]
    ) -> AsyncIterator[SubmitBatchResponse]:
        if malformed:
            yield SubmitBatchResponse(results=malformed)
        async for group in self._submit_batch(batch):
            results = (_result(batch[position].message, answer) for position, answer in group)
            yield SubmitBatchResponse(results=results)


def _check(request: SettlePaymentRequest) -> bytes:
    """Check that nothing is missing; the request id comes back."""
    request_id = fields.request_id(request.request_id)
    if not request.HasField("payment_request"):
        raise field_invalid("payment_request", "is missing")
    if not request.HasField("sealed_authorization"):
        raise field_invalid("sealed_authorization", "is missing")
    return request_id


def _result(payment: SettlePaymentRequest, answer: Signed | Refusal | RpcError) -> PaymentResult:
    request_id = payment.request_id[:_ID_LENGTH]
    if isinstance(answer, Signed):
        return PaymentResult(request_id=request_id, receipt=answer)
    error = from_refusal(answer) if isinstance(answer, Refusal) else answer
    field = error.violations[0].field if error.violations else ""
    told = PaymentError(reason=error.reason, message=error.message, field=field, rule=error.rule)
    return PaymentResult(request_id=request_id, error=told)


def _owner() -> str:
    """Name the caller as a party of payments (see `outcomes.py`)."""
    caller = current_caller()
    return wallet(caller.path[0]) if caller.kind is CallerKind.PHONE else caller.device
