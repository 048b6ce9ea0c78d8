"""The interceptors of both ports: three concerns around every call, each in a file of its own.

    errors.ErrorTranslation   outermost: what is raised within becomes the call's status
    telemetry.Telemetry       the log line and the metrics of what happens within
    guard.Guard               who calls, may he, is he revoked (main port only)

This file only knows how to put them around the four shapes of a gRPC handler. It must be the only
interceptor of its server: a handler is wrapped at its first call and kept. Within all of them each
request is looked through for times out of range, so that no servicer meets one.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, TypeAlias

import grpc
import grpc.aio

from server.rpc import fields
from server.rpc.call import Call, Concern
from server.rpc.errors import ErrorTranslation
from server.rpc.guard import Guard
from server.rpc.telemetry import Telemetry

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Behavior = Callable[[Any, Context], Any]

_SHAPES: dict[tuple[bool, bool], tuple[str, Callable[..., Handler]]] = {
    (False, False): ("unary_unary", grpc.unary_unary_rpc_method_handler),
    (False, True): ("unary_stream", grpc.unary_stream_rpc_method_handler),
    (True, False): ("stream_unary", grpc.stream_unary_rpc_method_handler),
    (True, True): ("stream_stream", grpc.stream_stream_rpc_method_handler),
}


class Concerns(grpc.aio.ServerInterceptor):
    """Puts concerns around every call; the first is the outermost."""

    def __init__(self, *concerns: Concern) -> None:
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
        shape, make_handler = _SHAPES[handler.request_streaming, handler.response_streaming]
        call = Call(method, handler.request_streaming, handler.response_streaming)
        behavior: Behavior = getattr(handler, shape)
        is_generator = inspect.isasyncgenfunction(behavior)
        if handler.request_deserializer is not None:  # else what comes in is bytes to all of us
            behavior = _in_range(call, behavior)
        for concern in reversed(self._concerns):
            if is_generator:
                behavior = _around_generator(concern, call, behavior)
            else:
                behavior = _around_coroutine(concern, call, behavior)
        return make_handler(behavior, handler.request_deserializer, handler.response_serializer)


def main_port(telemetry: Telemetry, errors: ErrorTranslation, guard: Guard) -> Concerns:
    """Make the interceptor of the main port, where callers have certificates."""
    return Concerns(errors, telemetry, guard)


def pairing_port(telemetry: Telemetry, errors: ErrorTranslation) -> Concerns:
    """Make the interceptor of the pairing port, where callers have none yet."""
    return Concerns(errors, telemetry)


def _in_range(call: Call, behavior: Behavior) -> Behavior:
    check = _each_in_range if call.request_streaming else fields.times
    return lambda request, context: behavior(check(request), context)


async def _each_in_range(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for request in requests:
        yield fields.times(request)


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
