"""FareService on the wire: translates, decides nothing. `server/switch/travel.py` decides."""

from __future__ import annotations

from typing import Any

import grpc.aio

from kessai.holder import CHALLENGE_BYTES
from kessai.money import Money
from kessai.v1.fare_pb2 import (
    ConfirmTravelRequest,
    ConfirmTravelResponse,
    SetMinimumBalanceRequest,
    SetMinimumBalanceResponse,
)
from kessai.v1.fare_pb2_grpc import FareServiceServicer
from server.identity.callers import current_caller
from server.rpc import fields
from server.rpc.errors import field_invalid
from server.switch.travel import Travel, TravelAsked

Context = grpc.aio.ServicerContext[Any, Any]

_ADMISSION_ID_BYTES = 16


class FareServicer(FareServiceServicer):
    """Serves gates, whose merchant and terminal are those of the line's certificate; operators."""

    def __init__(self, travel: Travel) -> None:
        self._travel = travel

    async def ConfirmTravel(
        self, request: ConfirmTravelRequest, context: Context
    ) -> ConfirmTravelResponse:
        """Tell whether a holder may enter; a refusal comes back as a decline reason."""
        merchant_id, terminal_id = current_caller().path
        told = await self._travel.confirm(_read(request), merchant_id, terminal_id)
        spent = Money(told.spent_minor, request.minimum_balance.currency_code)
        return ConfirmTravelResponse(
            decline_reason=told.decline,
            spent_today=spent.to_proto(),
            open_admission_paid=told.open_admission_paid,
        )

    async def SetMinimumBalance(
        self, request: SetMinimumBalanceRequest, context: Context
    ) -> SetMinimumBalanceResponse:
        """Set what an account must hold at a merchant's gates: FIELD_INVALID, RESOURCE_UNKNOWN."""
        fields.request_id(request.request_id)
        fields.currency(request.minimum_balance.currency_code, "minimum_balance.currency_code")
        fields.count(request.minimum_balance.amount_minor, "minimum_balance.amount_minor")
        minimum = Money.from_proto(request.minimum_balance)
        await self._travel.set_minimum(request.merchant_id, minimum)
        return SetMinimumBalanceResponse()


def _read(request: ConfirmTravelRequest) -> TravelAsked:
    if not request.HasField("holder_answer"):
        raise field_invalid("holder_answer", "is missing")
    if len(request.nonce) != CHALLENGE_BYTES:
        raise field_invalid("nonce", f"must be {CHALLENGE_BYTES} bytes")
    if len(request.open_admission_id) not in (0, _ADMISSION_ID_BYTES):
        raise field_invalid("open_admission_id", f"must be {_ADMISSION_ID_BYTES} bytes, or none")
    fields.currency(request.minimum_balance.currency_code, "minimum_balance.currency_code")
    return TravelAsked(
        request.holder_answer,
        request.nonce,
        request.minimum_balance.currency_code,
        request.day_start_time.ToMicroseconds() if request.HasField("day_start_time") else 0,
        request.open_admission_id,
        request.SerializeToString(deterministic=True),
    )
