"""PaymentService on the wire: translates, decides nothing.

What is decided is decided in `server/switch/register_purchase.py`.
"""

from __future__ import annotations

from typing import Any

import grpc.aio

from kessai.v1.payment_pb2 import (
    GetPaymentRequest,
    GetPaymentResponse,
    SettlePaymentRequest,
    SettlePaymentResponse,
)
from kessai.v1.payment_pb2_grpc import PaymentServiceServicer
from server.identity.callers import current_caller
from server.rpc import fields
from server.rpc.errors import field_invalid
from server.switch.register_purchase import RegisterPurchase

Context = grpc.aio.ServicerContext[Any, Any]


class PaymentServicer(PaymentServiceServicer):
    """Serves terminals; merchant and terminal are those of the line's certificate."""

    def __init__(self, purchases: RegisterPurchase) -> None:
        self._purchases = purchases

    async def SettlePayment(
        self, request: SettlePaymentRequest, context: Context
    ) -> SettlePaymentResponse:
        """Settle a payment; a decline comes back as a receipt."""
        request_id = fields.request_id(request.request_id)
        if not request.HasField("payment_request"):
            raise field_invalid("payment_request", "is missing")
        if not request.HasField("sealed_authorization"):
            raise field_invalid("sealed_authorization", "is missing")
        merchant_id, terminal_id = current_caller().path
        receipt = await self._purchases.settle(request, request_id, merchant_id, terminal_id)
        return SettlePaymentResponse(receipt=receipt)

    async def GetPayment(self, request: GetPaymentRequest, context: Context) -> GetPaymentResponse:
        """Tell the outcome of one of the terminal's own payments."""
        request_id = fields.request_id(request.request_id)
        merchant_id, terminal_id = current_caller().path
        receipt = await self._purchases.find(request_id, merchant_id, terminal_id)
        return GetPaymentResponse(receipt=receipt)
