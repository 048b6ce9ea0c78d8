"""LedgerService on the wire: translates, decides nothing.

`server/switch/log_places.py` compares the log, `server/switch/payment_search.py` looks into it.
"""

from __future__ import annotations

from typing import Any

import grpc.aio

from kessai.account_number import format_account
from kessai.identity_path import is_name
from kessai.request_id import format_request_id
from kessai.v1 import ledger_pb2 as pb
from kessai.v1.ledger_pb2_grpc import LedgerServiceServicer
from server.identity.callers import current_caller
from server.rpc import fields
from server.rpc.errors import field_invalid
from server.switch.log_places import LogPlaces
from server.switch.payment_search import PaymentSearch, Sought

MAX_ORDER = 40

Context = grpc.aio.ServicerContext[Any, Any]


class LedgerServicer(LedgerServiceServicer):
    """Serves terminals and phones, and operators who look for a payment."""

    def __init__(self, places: LogPlaces, search: PaymentSearch) -> None:
        self._places, self._search = places, search

    async def GetLogHash(
        self, request: pb.GetLogHashRequest, context: Context
    ) -> pb.GetLogHashResponse:
        """Tell what stands in the log where the caller's receipts say that they stand."""
        places = await self._places.look(current_caller().device, request.receipts)
        return pb.GetLogHashResponse(places=places)

    async def ListPayments(
        self, request: pb.ListPaymentsRequest, context: Context
    ) -> pb.ListPaymentsResponse:
        """Look payments up: FIELD_INVALID."""
        if request.payment_id:
            payment_id = fields.request_id(request.payment_id, "payment_id")
            sought = await self._search.by_id(payment_id)
        else:
            if not is_name(request.merchant_id):
                raise field_invalid("merchant_id", "say which payment, or whose order")
            if not 1 <= len(request.order_id) <= MAX_ORDER:
                raise field_invalid("order_id", f"1 to {MAX_ORDER} characters")
            sought = await self._search.by_order(request.merchant_id, request.order_id)
        return pb.ListPaymentsResponse(payments=map(_payment, sought))


def _payment(sought: Sought) -> pb.FoundPayment:
    row, asked = sought.found.row, sought.found.asked
    return pb.FoundPayment(
        payment_id=format_request_id(row.request_id),
        asked_by=asked.owner,
        payer_wallet_id=asked.payer_wallet,
        order_id=sought.order_id,
        payer_account=format_account(row.payer),
        payee_account=format_account(row.payee) if row.payee else "",
        receipt=sought.receipt,
    )
