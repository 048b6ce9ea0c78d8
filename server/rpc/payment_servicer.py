"""PaymentService on the wire: translates, decides nothing.

What is decided is decided in `server/switch/register_purchase.py`, for a stream of batches through
`server/switch/submit_batch.py`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import grpc.aio

from kessai.v1.envelope_pb2 import Signed
from kessai.v1.payment_pb2 import (
    GetPaymentRequest,
    GetPaymentResponse,
    PaymentError,
    PaymentResult,
    SettlePaymentRequest,
    SettlePaymentResponse,
    SubmitBatchRequest,
    SubmitBatchResponse,
)
from kessai.v1.payment_pb2_grpc import PaymentServiceServicer
from server.identity.callers import current_caller
from server.identity.refusals import Refusal
from server.rpc import fields
from server.rpc.errors import RpcError, field_invalid, from_refusal
from server.rpc.flow import side_by_side
from server.switch.register_purchase import RegisterPurchase
from server.switch.submit_batch import SubmitBatch, Submitted

BATCH_LIMIT = 200
BATCHES_AT_ONCE = 4

_ID_LENGTH = 36

Context = grpc.aio.ServicerContext[Any, Any]


class PaymentServicer(PaymentServiceServicer):
    """Serves terminals; merchant and terminal are those of the line's certificate."""

    def __init__(self, purchases: RegisterPurchase, submit_batch: SubmitBatch) -> None:
        self._purchases = purchases
        self._submit_batch = submit_batch

    async def SettlePayment(
        self, request: SettlePaymentRequest, context: Context
    ) -> SettlePaymentResponse:
        """Settle a payment; a decline comes back as a receipt."""
        request_id = _check(request)
        merchant_id, terminal_id = current_caller().path
        receipt = await self._purchases.settle(request, request_id, merchant_id, terminal_id)
        return SettlePaymentResponse(receipt=receipt)

    async def GetPayment(self, request: GetPaymentRequest, context: Context) -> GetPaymentResponse:
        """Tell the outcome of one of the terminal's own payments."""
        request_id = fields.request_id(request.request_id)
        merchant_id, terminal_id = current_caller().path
        receipt = await self._purchases.find(request_id, merchant_id, terminal_id)
        return GetPaymentResponse(receipt=receipt)

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
    told = PaymentError(reason=error.reason, message=error.message, field=field)
    return PaymentResult(request_id=request_id, error=told)
