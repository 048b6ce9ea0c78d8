"""The audit around operators' calls: a record of each act, written before it is answered.

As a concern outside of the guard it notes operators whom the guard refuses; as a wrapper within, it
knows request and response of the methods that change something (`server/identity/acts.py`).
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import grpc.aio

from kessai.decline import name_of
from kessai.v1 import error_pb2 as e
from kessai.v1.decline_pb2 import DeclineReason
from kessai.v1.error_pb2 import ErrorReason
from server.identity.acts import ACTS, IN_DIRECTORY, object_of
from server.identity.audit import Act, Audit, held_act
from server.identity.callers import CallerKind, known_caller
from server.identity.directory_call import in_thread
from server.identity.refusals import Refusal
from server.rpc.call import Call
from server.rpc.errors import RpcError

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Behavior = Callable[[Any, Context], Awaitable[Any]]


class AuditTrail:
    """Records what operators do and try."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit

    @asynccontextmanager
    async def around(self, call: Call, context: Context) -> AsyncIterator[None]:
        """Serve the call; note if an operator was refused at the door."""
        try:
            yield
        except (Refusal, RpcError) as refused:
            caller = known_caller()
            by_guard = held_act() is None and refused.reason in _AT_THE_DOOR
            if caller is not None and caller.kind is CallerKind.OPERATOR and by_guard:
                act = Act(caller.device, _short(call.method))
                await in_thread(self._audit.refuse, act, _name(refused.reason))
            raise

    def wrap(self, call: Call, behavior: Behavior) -> Behavior:
        """The behaviour of a method with its record around it, if it is an operator's act."""
        if call.method not in ACTS:
            return behavior

        async def recorded(request: Any, context: Context) -> Any:  # noqa: ANN401
            caller = known_caller()
            is_operator = caller is not None and caller.kind is CallerKind.OPERATOR
            if caller is None or not is_operator or isinstance(request, bytes):
                return await behavior(request, context)
            act = Act(
                caller.device,
                _short(call.method),
                _id_of(request),
                object_of(call.method, request),
                serial=caller.serial,
            )
            self._audit.hold(act)
            if call.method not in IN_DIRECTORY:
                await in_thread(self._audit.begin, act)
            return await self._serve(act, request, context, behavior)

        return recorded

    async def _serve(
        self,
        act: Act,
        request: Any,  # noqa: ANN401
        context: Context,
        behavior: Behavior,
    ) -> Any:  # noqa: ANN401
        try:
            response = await behavior(request, context)
        except (Refusal, RpcError) as refused:
            # A store that is away leaves the outcome open: the act may have been done.
            if not (act.begun and refused.reason == e.ERROR_REASON_STORE_UNAVAILABLE):
                await in_thread(self._audit.refuse, act, _name(refused.reason))
            raise
        decline: DeclineReason.ValueType | None = getattr(response, "decline_reason", None)
        if decline:
            await in_thread(self._audit.refuse, act, name_of(decline))
        else:
            await in_thread(self._audit.accept, act)
        return response


_REQUEST_ID = re.compile(r"[0-9a-f-]{36}")
_AT_THE_DOOR = (e.ERROR_REASON_CERTIFICATE_REFUSED, e.ERROR_REASON_CALLER_NOT_PERMITTED)


def _id_of(request: Any) -> str:  # noqa: ANN401
    text: str = getattr(request, "request_id", "")
    return text if _REQUEST_ID.fullmatch(text) else ""


def _short(method: str) -> str:
    return method.removeprefix("/kessai.v1.")


def _name(reason: ErrorReason.ValueType) -> str:
    return ErrorReason.Name(reason).removeprefix("ERROR_REASON_")
