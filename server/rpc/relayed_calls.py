"""A terminal's call that its fleet's server passed: served as if it came over the terminal's line.

Around the method stand the same concerns as around any call: telemetry, errors, the limits of the
terminal, its permissions, and the strict reading of its request. What it ends with is signed, so
that whoever carries it back can alter nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import grpc.aio
from google.protobuf.message import Message

from kessai.envelope import MAX_PAYLOAD_BYTES
from kessai.relayed import PACKAGE
from kessai.v1 import error_pb2
from kessai.v1.relay_pb2 import RelayedAnswer, RelayedCall
from server.identity.callers import Caller, served_as
from server.identity.permissions import is_permitted
from server.rpc.call import Call
from server.rpc.errors import ErrorTranslation, RpcError, status_of
from server.rpc.intake import read_request
from server.rpc.limits import Limits
from server.rpc.telemetry import Telemetry

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

_ENVELOPE_BYTES = 128


class Around(NamedTuple):
    """The concerns of the main port that also stand around a call within a call."""

    telemetry: Telemetry
    errors: ErrorTranslation
    limits: Limits


class Method(NamedTuple):
    """A method that is passed on: how its request is read, and what serves it."""

    parse: Callable[[bytes], Message]
    serve: Callable[[Any, Context], Awaitable[Message]]


class RelayedCalls:
    """Serves calls of terminals, by the methods that `kessai.relayed` names."""

    def __init__(self, around: Around, methods: Mapping[str, Method]) -> None:
        self._around, self._methods = around, methods

    async def serve(self, caller: Caller, called: RelayedCall, context: Context) -> RelayedAnswer:
        """The answer to a terminal's call, which may be an error. OVERLOADED if it is too large."""
        call = Call(PACKAGE + called.method, False, False)
        telemetry, errors, limits = self._around
        try:
            with served_as(caller):
                async with telemetry.around(call, context), limits.around(call, context):
                    response = await self._serve(caller, call, called, context)
        except grpc.aio.AbortError:
            raise
        except Exception as error:
            status = status_of(errors.told(call, error))
            return RelayedAnswer(status=status.SerializeToString())
        if len(response) > MAX_PAYLOAD_BYTES - _ENVELOPE_BYTES:
            raise RpcError(
                error_pb2.ERROR_REASON_OVERLOADED,
                "it was done, and its answer is too large to be passed on: ask over another line",
            )
        return RelayedAnswer(response=response)

    async def _serve(
        self, caller: Caller, call: Call, called: RelayedCall, context: Context
    ) -> bytes:
        if not is_permitted(call.method, caller.kind):
            message = f"{caller.device} may not call {call.name}"
            raise RpcError(error_pb2.ERROR_REASON_CALLER_NOT_PERMITTED, message)
        method = self._methods[called.method]
        request = read_request(call, called.request, method.parse)
        return (await method.serve(request, context)).SerializeToString()
