"""LedgerService on the wire: translates, decides nothing. `server/switch/log_places.py` decides."""

from __future__ import annotations

from typing import Any

import grpc.aio

from kessai.v1.ledger_pb2 import GetLogHashRequest, GetLogHashResponse
from kessai.v1.ledger_pb2_grpc import LedgerServiceServicer
from server.identity.callers import current_caller
from server.switch.log_places import LogPlaces

Context = grpc.aio.ServicerContext[Any, Any]


class LedgerServicer(LedgerServiceServicer):
    """Serves terminals and phones."""

    def __init__(self, places: LogPlaces) -> None:
        self._places = places

    async def GetLogHash(self, request: GetLogHashRequest, context: Context) -> GetLogHashResponse:
        """Tell what stands in the log where the caller's receipts say that they stand."""
        places = await self._places.look(current_caller().device, request.receipts)
        return GetLogHashResponse(places=places)
