"""The concerns around a call of every shape that gRPC has: errors as status, metrics, log."""

from __future__ import annotations

import asyncio
import gc
import re
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import grpc
import grpc.aio
import pytest
import structlog
from google.rpc import error_details_pb2  # type: ignore[import-untyped]
from grpc_status import rpc_status
from prometheus_client import CollectorRegistry, generate_latest

from kessai.request_id import new_request_id
from kessai.v1 import error_pb2
from kessai.v1.error_pb2 import ErrorReason
from server.identity.refusals import FieldRefused, PairingRefused, Refusal
from server.rpc.errors import (
    CODES,
    ErrorTranslation,
    FieldViolation,
    RpcError,
    field_invalid,
    from_refusal,
    status_of,
)
from server.rpc.intake import Intake
from server.rpc.interceptors import Concerns, pairing_port
from server.rpc.telemetry import Telemetry
from server.switch.refused import RequestIdStale

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
SERVICE = "kessai.test.Echo"
TIMEOUT_S = 5.0
PROTO = Path(error_pb2.__file__).with_name("error.proto")

NOT_PERMITTED = RpcError(error_pb2.ERROR_REASON_CALLER_NOT_PERMITTED, "not yours")
FAULTS: dict[bytes, Exception] = {
    b"rpc error": NOT_PERMITTED,
    b"refusal": PairingRefused(),
    b"field": FieldRefused("color", "not a color"),
    b"fault": ZeroDivisionError("the secret is 42"),
}


class Held:
    """Something that a call has in hand."""


IN_HAND: list[weakref.ref[Held]] = []


async def _serve(request: bytes, context: Context) -> bytes:
    if request == b"in hand":
        held = Held()
        IN_HAND.append(weakref.ref(held))
        raise RpcError(error_pb2.ERROR_REASON_CALLER_NOT_PERMITTED, "not yours")
    if request == b"not found":
        await context.abort(grpc.StatusCode.NOT_FOUND, "by gRPC's own means")
    if request == b"wait":
        await asyncio.sleep(60)
    if request in FAULTS:
        raise FAULTS[request]
    return request


async def _last(requests: AsyncIterator[bytes], context: Context) -> bytes:
    return b"".join([await _serve(request, context) async for request in requests])


async def _twice(request: bytes, context: Context) -> AsyncIterator[bytes]:
    yield await _serve(request, context)
    yield request


async def _each(requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
    async for request in requests:
        yield await _serve(request, context)


async def _written(request: bytes, context: Context) -> None:
    await context.write(await _serve(request, context))
    await context.write(request)


SHAPES: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
    "Unary": grpc.unary_unary_rpc_method_handler(_serve),
    "ClientStream": grpc.stream_unary_rpc_method_handler(_last),
    "ServerStream": grpc.unary_stream_rpc_method_handler(_twice),
    "Written": grpc.unary_stream_rpc_method_handler(_written),
    "Bidi": grpc.stream_stream_rpc_method_handler(_each),
}


class Echo:
    """A server with the concerns of the pairing port around methods of every shape."""

    def __init__(self, channel: grpc.aio.Channel, registry: CollectorRegistry) -> None:
        self.channel: Any = channel
        self.registry = registry

    async def call(self, method: str, request: bytes, timeout_s: float = TIMEOUT_S) -> list[bytes]:
        """Call a method with one request, and collect what comes back."""
        path = f"/{SERVICE}/{method}"

        async def requests() -> AsyncIterator[bytes]:
            yield request

        if method in ("ServerStream", "Written"):
            return [r async for r in self.channel.unary_stream(path)(request, timeout=timeout_s)]
        if method == "Bidi":
            return [
                r async for r in self.channel.stream_stream(path)(requests(), timeout=timeout_s)
            ]
        if method == "ClientStream":
            return [await self.channel.stream_unary(path)(requests(), timeout=timeout_s)]
        return [await self.channel.unary_unary(path)(request, timeout=timeout_s)]

    async def failure(self, method: str, request: bytes) -> grpc.aio.AioRpcError:
        """Call a method that fails, and give the error."""
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await self.call(method, request)
        return failed.value

    async def counted(self, method: str, grpc_type: str, code: str) -> None:
        """Wait until one call is counted, which is after its caller has the answer."""
        async with asyncio.timeout(TIMEOUT_S):
            while self.count(method, grpc_type, code) != 1:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    def count(self, method: str, grpc_type: str, code: str) -> float | None:
        """Read grpc_server_handled_total."""
        labels = {"grpc_type": grpc_type, "grpc_service": SERVICE, "grpc_method": method}
        return self.registry.get_sample_value(
            "grpc_server_handled_total", {**labels, "grpc_code": code}
        )


@asynccontextmanager
async def echoing(intake: Intake | None = None) -> AsyncIterator[Echo]:
    """Serve Echo; without TLS, because here it is not about who calls."""
    registry = CollectorRegistry()
    telemetry, errors = Telemetry(registry), ErrorTranslation(lambda length: b"\xab" * length)
    concerns = Concerns(intake, errors, telemetry) if intake else pairing_port(telemetry, errors)
    server = grpc.aio.server(interceptors=[concerns])
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, SHAPES),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield Echo(channel, registry)
    finally:
        await server.stop(0)


@pytest.mark.parametrize("method", SHAPES)
async def test_every_shape_is_served(method: str) -> None:
    """Twice, since the handler is wrapped at the first call and kept."""
    async with echoing() as echo:
        expected = 2 if method in ("ServerStream", "Written") else 1
        for _ in range(2):
            assert await echo.call(method, b"hello") == [b"hello"] * expected


@pytest.mark.parametrize("method", SHAPES)
async def test_an_error_carries_its_reason(method: str) -> None:
    """As ErrorInfo of the domain "kessai", in every shape."""
    async with echoing() as echo:
        error = await echo.failure(method, b"rpc error")
        assert (error.code(), error.details()) == (grpc.StatusCode.PERMISSION_DENIED, "not yours")
        info = error_details_pb2.ErrorInfo()
        status = rpc_status.from_call(error)
        assert status is not None
        assert status.details[0].Unpack(info)
        assert (info.reason, info.domain) == ("CALLER_NOT_PERMITTED", "kessai")


@pytest.mark.parametrize("method", SHAPES)
async def test_a_refused_call_keeps_nothing(method: str) -> None:
    """Without a search for circles: one device had the switch grow by 200 KB a refusal."""
    IN_HAND.clear()
    gc.disable()
    try:
        async with echoing() as echo:
            await echo.failure(method, b"in hand")
            async with asyncio.timeout(TIMEOUT_S):
                while IN_HAND[0]() is not None:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
    finally:
        gc.enable()


async def test_a_refusal_of_identity_is_translated() -> None:
    """With the reason that it carries."""
    async with echoing() as echo:
        error = await echo.failure("Unary", b"refusal")
        assert error.code() == grpc.StatusCode.PERMISSION_DENIED
        assert "pairing code" in (error.details() or "")


async def test_a_bad_field_is_named() -> None:
    """As BadRequest beside the ErrorInfo."""
    async with echoing() as echo:
        error = await echo.failure("Unary", b"field")
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
        status = rpc_status.from_call(error)
        assert status is not None
        bad_request = error_details_pb2.BadRequest()
        assert status.details[1].Unpack(bad_request)
        (violation,) = bad_request.field_violations
        assert (violation.field, violation.description) == ("color", "not a color")


@pytest.mark.parametrize("method", SHAPES)
async def test_a_fault_of_ours_tells_the_caller_only_its_number(method: str) -> None:
    """The traceback is in the log, under that number."""
    with structlog.testing.capture_logs() as lines:
        async with echoing() as echo:
            error = await echo.failure(method, b"fault")
    assert error.code() == grpc.StatusCode.INTERNAL
    assert "abababababab" in (error.details() or "")
    assert "42" not in (error.details() or "")
    assert "Zero" not in (error.details() or "")
    (line,) = [line for line in lines if line["event"] == "internal error"]
    assert (line["incident"], line["log_level"]) == ("abababababab", "error")
    assert line["exc_info"] is True


async def test_calls_are_counted_by_their_end() -> None:
    """The conventional names and labels, for dashboards that exist."""
    async with echoing() as echo:
        await echo.call("Unary", b"hello")
        await echo.call("Bidi", b"hello")
        await echo.failure("Unary", b"rpc error")
        await echo.failure("ServerStream", b"fault")
        await echo.failure("Unary", b"not found")
        await echo.counted("Unary", "unary", "OK")
        await echo.counted("Bidi", "bidi_stream", "OK")
        await echo.counted("Unary", "unary", "PERMISSION_DENIED")
        await echo.counted("ServerStream", "server_stream", "INTERNAL")
        await echo.counted("Unary", "unary", "UNKNOWN")
        labels = {"grpc_type": "unary", "grpc_service": SERVICE, "grpc_method": "Unary"}
        for name in ("grpc_server_started_total", "grpc_server_handling_seconds_count"):
            assert echo.registry.get_sample_value(name, labels) == 3


async def test_a_caller_who_does_not_wait_is_counted() -> None:
    """A deadline or a hang-up ends the call on the server too."""
    async with echoing() as echo:
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await echo.call("Unary", b"wait", timeout_s=0.1)
        assert failed.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        await echo.counted("Unary", "unary", "CANCELLED")


async def test_an_unknown_method_is_not_counted() -> None:
    """Nobody can fill the metrics with invented names."""
    async with echoing() as echo:
        error = await echo.failure("Invented", b"")
        assert error.code() == grpc.StatusCode.UNIMPLEMENTED
        assert b"Invented" not in generate_latest(echo.registry)


async def test_what_went_well_is_logged_quietly() -> None:
    """Debug for OK, info for a refusal, error for a fault of ours."""
    with structlog.testing.capture_logs() as lines:
        async with echoing() as echo:
            await echo.call("Unary", b"hello")
            await echo.failure("Unary", b"rpc error")
            await echo.failure("Unary", b"fault")
    calls = [(line["code"], line["log_level"]) for line in lines if line["event"] == "call"]
    assert calls == [("OK", "debug"), ("PERMISSION_DENIED", "info"), ("INTERNAL", "error")]
    assert lines[0]["method"] == f"/{SERVICE}/Unary"
    assert lines[0]["caller"] == "-"
    assert lines[0]["ms"] >= 0


def test_every_reason_has_the_code_that_the_proto_says() -> None:
    """error.proto names the gRPC code in the comment of each reason."""
    pairs = re.findall(r"// ([A-Z_]+): (?:[^=]*?)(ERROR_REASON_\w+) =", PROTO.read_text())
    by_reason = {reason: code for code, reason in pairs}
    assert by_reason == {ErrorReason.Name(reason): code.name for reason, code in CODES.items()}
    assert len(CODES) == len(ErrorReason.values()) - 1


def test_every_refusal_has_a_reason() -> None:
    """So each can be answered."""
    assert {refusal.reason for refusal in Refusal.__subclasses__()} <= CODES.keys()


def test_field_invalid_is_short_for_one_field() -> None:
    """The message names the field too."""
    error = field_invalid("amount", "must be positive")
    assert error.reason == error_pb2.ERROR_REASON_FIELD_INVALID
    assert error.violations == (FieldViolation("amount", "must be positive"),)
    assert str(error) == "amount: must be positive"


async def test_a_request_that_does_not_come_is_not_waited_for() -> None:
    """A caller who opens a call and sends nothing, or half of it, holds it for seconds only."""
    async with echoing(Intake(receive_limit_s=0.2)) as echo:

        async def nothing() -> AsyncIterator[bytes]:
            await asyncio.sleep(60)
            yield b""

        call = echo.channel.stream_unary(f"/{SERVICE}/Unary")(nothing(), timeout=60)
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await asyncio.wait_for(call, TIMEOUT_S)
        assert failed.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert await echo.call("Unary", b"hello") == [b"hello"]


async def test_a_request_that_came_is_served_however_long_it_takes() -> None:
    """The limit is on sending it, not on the answer."""
    async with echoing(Intake(receive_limit_s=0.1)) as echo:
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await echo.call("Unary", b"wait", timeout_s=0.5)
        assert failed.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_a_stream_whose_answers_are_not_read_is_ended() -> None:
    """With OVERLOADED; what it was sent meanwhile was not read either."""
    async with echoing(Intake(read_limit_s=0.3)) as echo:
        call = echo.channel.stream_stream(f"/{SERVICE}/Bidi")(timeout=60)

        async def send() -> None:
            while True:
                await call.write(bytes(60_000))

        sending = asyncio.create_task(send())
        async with asyncio.timeout(TIMEOUT_S):
            while echo.count("Bidi", "bidi_stream", "CANCELLED") != 1:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            with pytest.raises(grpc.aio.AioRpcError) as failed:
                async for _ in call:
                    pass
        assert failed.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


@pytest.mark.parametrize(("now_ms", "rule"), [(4_000, "in_future"), (300_000, "too_old")])
def test_a_stale_id_says_which_way(now_ms: int, rule: str) -> None:
    """For machines, in the metadata of the ErrorInfo."""
    refusal = RequestIdStale(new_request_id(60_000, bytes), now_ms * 1000)
    info = error_details_pb2.ErrorInfo()
    assert status_of(from_refusal(refusal)).details[0].Unpack(info)
    assert info.metadata["rule"] == rule
