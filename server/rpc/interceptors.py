"""The interceptors of both ports: concerns around every call, each in a file of its own.

    errors.ErrorTranslation   outermost: what is raised within becomes the call's status
    telemetry.Telemetry       the log line and the metrics of what happens within
    audit_trail.AuditTrail    what operators do and try (main port only)
    guard.Guard               who calls, may he, is he revoked (main port only)
    limits.Limits             whether his device asks too much (main port only)
    intake.Intake             innermost: the request's bytes become a message, times in range

This file only knows how to put them around the four shapes of a gRPC handler. It must be the only
interceptor of its server: a handler is wrapped at its first call and kept.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, TypeAlias

import grpc
import grpc.aio

from server.rpc.audit_trail import AuditTrail
from server.rpc.call import Call, Concern
from server.rpc.errors import ErrorTranslation
from server.rpc.guard import Guard
from server.rpc.intake import Intake, Parse
from server.rpc.limits import Limits
from server.rpc.telemetry import Telemetry

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Behavior = Callable[[Any, Context], Any]

_SHAPES: dict[tuple[bool, bool], str] = {
    (False, False): "unary_unary",
    (False, True): "unary_stream",
    (True, False): "stream_unary",
    (True, True): "stream_stream",
}
_MAKERS: dict[bool, Callable[..., Handler]] = {
    False: grpc.stream_unary_rpc_method_handler,
    True: grpc.stream_stream_rpc_method_handler,
}


class Concerns(grpc.aio.ServerInterceptor):
    """Puts concerns around every call; the first is the outermost."""

    def __init__(self, intake: Intake, *concerns: Concern, audit: AuditTrail | None = None) -> None:
        self._intake, self._audit = intake, audit
        self._concerns = concerns
        self._wrapped: dict[str, Handler] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Find the handler of a method, with the concerns around it."""
        method = handler_call_details.method
        if method not in self._wrapped:
            handler = await continuation(handler_call_details)
            if handler is None:
                return handler  # gRPC answers UNIMPLEMENTED
            self._wrapped[method] = self._wrap(method, handler)
        return self._wrapped[method]

    def _wrap(self, method: str, handler: Handler) -> Handler:
        call = Call(method, handler.request_streaming, handler.response_streaming)
        served: Behavior = getattr(
            handler, _SHAPES[call.request_streaming, call.response_streaming]
        )
        if self._audit is not None:
            served = self._audit.wrap(call, served)
        behavior = _with_intake(self._intake, call, served, handler.request_deserializer)
        for concern in reversed(self._concerns):
            if inspect.isasyncgenfunction(behavior):
                behavior = _around_generator(concern, call, behavior)
            else:
                behavior = _around_coroutine(concern, call, behavior)
        # To gRPC all requests are streams, so that a single one is read here, or not at all.
        make_handler = _MAKERS[call.response_streaming]
        return make_handler(_forgetting(behavior), None, handler.response_serializer)


def main_port(
    telemetry: Telemetry,
    errors: ErrorTranslation,
    guard: Guard,
    limits: Limits,
    audit: AuditTrail,
) -> Concerns:
    """Make the interceptor of the main port, where callers have certificates."""
    return Concerns(Intake(limits), errors, telemetry, audit, guard, limits, audit=audit)


def pairing_port(telemetry: Telemetry, errors: ErrorTranslation) -> Concerns:
    """Make the interceptor of the pairing port, where callers have none yet."""
    return Concerns(Intake(), errors, telemetry)


def _with_intake(intake: Intake, call: Call, behavior: Behavior, parse: Parse | None) -> Behavior:
    async def one(requests: AsyncIterator[bytes], context: Context) -> Any:  # noqa: ANN401
        return await behavior(await intake.read_one(call, requests, parse), context)

    async def many(requests: AsyncIterator[bytes], context: Context) -> Any:  # noqa: ANN401
        return await behavior(intake.read_all(call, requests, parse), context)

    async def generated(requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[Any]:
        if call.request_streaming:
            request: Any = intake.read_all(call, requests, parse)
        else:
            request = await intake.read_one(call, requests, parse)
        async with aclosing(behavior(request, context)) as answers:
            async for answer in answers:
                with intake.answering(context):
                    yield answer

    if inspect.isasyncgenfunction(behavior):
        return generated
    return many if call.request_streaming else one


def _around_coroutine(concern: Concern, call: Call, behavior: Behavior) -> Behavior:
    async def served(request: Any, context: Context) -> Any:  # noqa: ANN401
        async with concern.around(call, context):
            return await behavior(request, context)

    return served


def _around_generator(concern: Concern, call: Call, behavior: Behavior) -> Behavior:
    async def served(request: Any, context: Context) -> AsyncIterator[Any]:  # noqa: ANN401
        async with concern.around(call, context), aclosing(behavior(request, context)) as responses:
            async for response in responses:
                yield response

    return served


def _forgetting(behavior: Behavior) -> Behavior:
    """Let go of what a refused call had in hand.

    gRPC keeps the error with the context, and the error's frames hold the context and the request:
    a circle, which Python looks for rarely here.
    """

    async def generated(request: Any, context: Context) -> AsyncIterator[Any]:  # noqa: ANN401
        try:
            async with aclosing(behavior(request, context)) as responses:
                async for response in responses:
                    yield response
        except grpc.aio.AbortError as error:
            raise _without_frames(error) from None

    async def served(request: Any, context: Context) -> Any:  # noqa: ANN401
        try:
            return await behavior(request, context)
        except grpc.aio.AbortError as error:
            raise _without_frames(error) from None

    return generated if inspect.isasyncgenfunction(behavior) else served


def _without_frames(error: grpc.aio.AbortError) -> grpc.aio.AbortError:
    error.__context__ = None
    return error.with_traceback(None)
