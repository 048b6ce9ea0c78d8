"""PaymentService on the wire: translates, decides nothing.

What is decided is decided in `server/switch/register_purchase.py`, `outcomes.py`, `followers.py`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc.aio

from kessai.v1.payment_pb2 import (
    FollowPaymentsRequest,
    FollowPaymentsResponse,
    GetPaymentRequest,
    GetPaymentResponse,
    SettlePaymentRequest,
    SettlePaymentResponse,
)
from kessai.v1.payment_pb2_grpc import PaymentServiceServicer
from server.identity.callers import CallerKind, current_caller
from server.rpc import fields
from server.rpc.errors import field_invalid
from server.switch.followers import Followers
from server.switch.outcomes import Outcomes, wallet
from server.switch.register_purchase import RegisterPurchase
from server.switch.ticket_sales import TicketSales

Context = grpc.aio.ServicerContext[Any, Any]


class PaymentServicer(PaymentServiceServicer):
    """Serves terminals and phones; who it is stands in the line's certificate."""

    def __init__(
        self,
        purchases: RegisterPurchase,
        outcomes: Outcomes,
        followers: Followers,
        tickets: TicketSales,
    ) -> None:
        self._purchases, self._outcomes, self._followers = purchases, outcomes, followers
        self._tickets = tickets

    async def SettlePayment(
        self, request: SettlePaymentRequest, context: Context
    ) -> SettlePaymentResponse:
        """Settle a payment; a decline comes back as a receipt."""
        request_id = fields.request_id(request.request_id)
        if not request.HasField("payment_request"):
            raise field_invalid("payment_request", "is missing")
        if not request.HasField("sealed_authorization"):
            raise field_invalid("sealed_authorization", "is missing")
        caller = current_caller()
        if caller.kind is CallerKind.PHONE:
            receipt = await self._purchases.settle_direct(request, request_id, caller.path[0])
        else:
            receipt = await self._purchases.settle(request, request_id, *caller.path)
        tickets = await self._tickets.bought_by(receipt, request.payment_request)
        return SettlePaymentResponse(receipt=receipt, tickets=tickets)

    async def GetPayment(self, request: GetPaymentRequest, context: Context) -> GetPaymentResponse:
        """Tell the outcome of one of the caller's own payments."""
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


def _owner() -> str:
    """Name the owner of the caller's payments (see `outcomes.py`)."""
    caller = current_caller()
    return wallet(caller.path[0]) if caller.kind is CallerKind.PHONE else caller.device
