"""RelayService on the wire: translates, decides nothing.

`server/identity/relays.py` says who calls and whether it is passed; `relayed_calls.py` serves it.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import grpc.aio

from kessai.envelope import RELAYED_ANSWER, PrivateKey, sign
from kessai.relayed import call_hash
from kessai.v1 import relay_pb2 as pb
from kessai.v1.relay_pb2_grpc import RelayServiceServicer
from server.identity.callers import current_caller
from server.identity.directory_call import in_thread
from server.identity.relays import Relays
from server.rpc.errors import field_invalid
from server.rpc.relayed_calls import RelayedCalls

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class RelayServicer(RelayServiceServicer):
    """Serves fleets' servers; which one it is stands in the line's certificate."""

    def __init__(self, relays: Relays, calls: RelayedCalls, signing_key: PrivateKey) -> None:
        self._relays, self._calls, self._signing_key = relays, calls, signing_key

    async def PassCall(self, request: pb.PassCallRequest, context: Context) -> pb.PassCallResponse:
        """Serve a terminal's signed call, and sign what came of it."""
        if not request.HasField("call"):
            raise field_invalid("call", "is missing")
        caller, call = await in_thread(self._relays.open_call, request.call, current_caller())
        answer = await self._calls.serve(caller, call, context)
        answer.call_hash = call_hash(request.call)
        return pb.PassCallResponse(answer=sign(RELAYED_ANSWER, answer, self._signing_key))

    async def GetRelay(self, request: pb.GetRelayRequest, context: Context) -> pb.GetRelayResponse:
        """Tell a fleet's server whom it serves."""
        fleet_id = current_caller().path[0]
        merchants = await in_thread(self._relays.merchants, fleet_id)
        return pb.GetRelayResponse(fleet_id=fleet_id, merchant_ids=merchants)
