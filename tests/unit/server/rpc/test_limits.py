"""Limits by device: who asks too much is refused at once, and nobody else waits for him."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
import structlog
from google.rpc import error_details_pb2  # type: ignore[import-untyped]
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from kessai.channel import MAX_BATCH_BYTES, open_channel
from kessai.device_identity import DeviceIdentity
from server.identity.callers import Caller, CallerKind, set_current_caller
from server.rpc.allowance import READ_AT_ONCE, SAVED_S, Bucket, Rates
from server.rpc.call import Call
from server.rpc.errors import RpcError
from server.rpc.limits import CALLS_AT_ONCE, STREAMS_AT_ONCE, UNREAD_CALLS, Limits
from tests.unit.server.ports import Switch, serving

TILL, OTHER = "agent/shop/till", "agent/shop/other"
LIMIT_S = 10.0
RATES = Rates(calls=5, payments=1000)
SAVED = int(RATES.calls * SAVED_S)


async def check(channel: grpc.aio.Channel) -> None:
    """Make the cheapest call."""
    stub = health_pb2_grpc.HealthStub(channel)
    await stub.Check(health_pb2.HealthCheckRequest(), timeout=LIMIT_S)


async def check_until_refused(identity: DeviceIdentity) -> tuple[int, grpc.aio.AioRpcError]:
    """Call until one is refused: how many were served before, and the error."""
    async with open_channel(identity) as channel:
        for served in range(10 * SAVED):
            try:
                await check(channel)
            except grpc.aio.AioRpcError as error:
                return served, error
    pytest.fail("nothing was refused")


async def test_who_calls_too_often_is_told_when_to_try_again(tmp_path: Path) -> None:
    """OVERLOADED with RetryInfo; after that time it is served; nobody else is refused."""
    async with serving(tmp_path, rates=RATES) as switch:
        till = switch.identity(TILL)
        served, error = await check_until_refused(till)
        assert SAVED <= served <= 2 * SAVED
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        status = rpc_status.from_call(error)
        info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
        assert status is not None
        assert status.details[0].Unpack(info)
        assert status.details[1].Unpack(retry)
        assert info.reason == "OVERLOADED"
        wait_s = retry.retry_delay.ToMilliseconds() / 1000
        assert 0 < wait_s <= 1 / RATES.calls
        async with open_channel(switch.identity(OTHER)) as channel:
            await check(channel)
        async with open_channel(till) as channel:
            await asyncio.sleep(wait_s)
            await check(channel)


async def test_a_new_certificate_is_no_new_allowance(tmp_path: Path) -> None:
    async with serving(tmp_path, rates=RATES) as switch:
        await check_until_refused(switch.identity(TILL))
        served, _ = await check_until_refused(switch.identity(TILL))
        assert served <= SAVED / 2


async def test_a_fleets_server_calls_for_many_machines() -> None:
    """Ten times as many calls at once, and a second, as a device that calls for itself."""
    limits = Limits(Rates(1000, 1), time.monotonic, CollectorRegistry())
    call = Call("/grpc.health.v1.Health/Check", False, False)
    for kind, most in ((CallerKind.AGENT, CALLS_AT_ONCE), (CallerKind.RELAY, 10 * CALLS_AT_ONCE)):
        set_current_caller(Caller(kind, ("nordic",), 1))
        async with AsyncExitStack() as under_way:
            for _ in range(most):
                await under_way.enter_async_context(limits.around(call, None))  # type: ignore[arg-type]
            with pytest.raises(RpcError, match="asks more than it may"):
                await under_way.enter_async_context(limits.around(call, None))  # type: ignore[arg-type]


async def test_so_many_streams_and_no_more(tmp_path: Path) -> None:
    """Also over several lines; one that ends makes room."""
    async with serving(tmp_path) as switch, AsyncExitStack() as stack:
        watches = []
        for _ in range(2):
            line = await stack.enter_async_context(open_channel(switch.identity(TILL)))
            stub = health_pb2_grpc.HealthStub(line)
            for _ in range(STREAMS_AT_ONCE // 2):
                watch = stub.Watch(health_pb2.HealthCheckRequest())
                await asyncio.wait_for(watch.read(), LIMIT_S)
                watches.append(watch)
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await stub.Watch(health_pb2.HealthCheckRequest(), timeout=LIMIT_S).read()
        assert failed.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert told(switch, "streams") == 1
        await check(line)
        watches[0].cancel()
        async with asyncio.timeout(LIMIT_S):
            while True:
                with_room = stub.Watch(health_pb2.HealthCheckRequest())
                try:
                    assert await with_room.read()
                    break
                except grpc.aio.AioRpcError:
                    await asyncio.sleep(0.02)


async def test_requests_too_large_to_be_read_count_by_their_bytes(tmp_path: Path) -> None:
    """Of thirty at once a few are received, and the rest refused before they are."""
    large = bytes(2 * MAX_BATCH_BYTES)
    async with serving(tmp_path, rates=Rates(calls=50, payments=1)) as switch:
        who = switch.identity(TILL)
        credentials = grpc.ssl_channel_credentials(who.root_pem, who.key_pem, who.chain_pem)
        async with grpc.aio.secure_channel(who.server_address, credentials) as line:
            settle: Any = line.unary_unary("/kessai.v1.PaymentService/SettlePayment")
            calls = [settle(large, timeout=LIMIT_S) for _ in range(CALLS_AT_ONCE)]
            for call in calls:
                assert await call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        refused = sum(told(switch, limit) or 0 for limit in ("unread", "calls"))
        received = CALLS_AT_ONCE - refused
        assert READ_AT_ONCE <= received <= 50 * SAVED_S / UNREAD_CALLS + READ_AT_ONCE
        async with open_channel(switch.identity(OTHER)) as line:
            await check(line)


async def test_a_flood_is_one_line_of_the_log_and_a_metric(tmp_path: Path) -> None:
    with structlog.testing.capture_logs() as lines:
        async with serving(tmp_path, rates=RATES) as switch:
            for _ in range(3):
                await check_until_refused(switch.identity(TILL))
            assert told(switch, "calls") == 3
    over = [line for line in lines if line["event"] == "over its limit"]
    assert [(line["caller"], line["limit"]) for line in over] == [(TILL, "calls")]
    refused = [line for line in lines if line.get("code") == "RESOURCE_EXHAUSTED"]
    assert {line["log_level"] for line in refused} == {"debug"}


def told(switch: Switch, limit: str) -> float | None:
    """How often a till was refused for a limit, as the metrics say."""
    labels = {"caller_kind": "agent", "limit": limit}
    return switch.registry.get_sample_value("kessai_limited_total", labels)


async def test_a_stream_is_read_as_fast_as_its_device_may_send() -> None:
    """What was saved up at once, the rest at the rate; another device does not wait."""
    limits = Limits(Rates(calls=10, payments=100), time.monotonic, CollectorRegistry())
    set_current_caller(Caller(CallerKind.AGENT, ("shop", "till"), 1))
    begin = time.monotonic()
    await limits.pace(int(100 * SAVED_S) - 1)
    assert time.monotonic() - begin < 0.1
    await limits.pace(50)
    assert time.monotonic() - begin >= 0.4
    set_current_caller(Caller(CallerKind.AGENT, ("shop", "other"), 2))
    begin = time.monotonic()
    await limits.pace(1)
    assert time.monotonic() - begin < 0.1


@given(st.lists(st.floats(0, 2), max_size=100), st.floats(1, 50))
def test_a_bucket_never_gives_more_than_its_rate(pauses: list[float], rate: float) -> None:
    bucket, now_s, taken = Bucket(rate, 0.0), 0.0, 0
    for pause in pauses:
        now_s += pause
        taken += bucket.take(now_s)
        assert taken <= rate * (SAVED_S + now_s) + 1e-6
        assert bucket.seconds_until_one(now_s) <= 1 / rate + 1e-6
