"""The line's options on both ends fit together, and its limits hold on the wire."""

from __future__ import annotations

import queue
import time
from pathlib import Path

import grpc
import grpc.aio
import pytest

from kessai.channel import (
    CHANNEL_OPTIONS,
    MAX_BATCH_BYTES,
    MAX_REQUEST_BYTES,
    PAIRING_OPTIONS,
    SERVER_OPTIONS,
    ask_until_answered,
    open_blocking_channel,
    open_channel,
)
from kessai.v1.account_pb2 import GetTrialBalanceRequest
from kessai.v1.account_pb2_grpc import AccountServiceStub
from kessai.v1.payment_pb2 import SettlePaymentRequest
from kessai.v1.payment_pb2_grpc import PaymentServiceStub
from tests.running import RunningSwitch
from tests.unit.server.ports import serving

TIMEOUT_S = 5.0

States = queue.SimpleQueue[grpc.ChannelConnectivity]


def test_the_switch_allows_the_pings_that_devices_send() -> None:
    """Or it would end their lines with "too_many_pings"."""
    channel, server = dict(CHANNEL_OPTIONS), dict(SERVER_OPTIONS)
    allowed_ms = server["grpc.http2.min_recv_ping_interval_without_data_ms"]
    assert allowed_ms < channel["grpc.keepalive_time_ms"]
    assert server["grpc.keepalive_permit_without_calls"] == 1


def test_a_port_takes_what_its_largest_message_has() -> None:
    """That is a batch; what a device says that is not paired yet is small."""
    size = "grpc.max_receive_message_length"
    assert dict(PAIRING_OPTIONS)[size] == MAX_REQUEST_BYTES < dict(SERVER_OPTIONS)[size]
    assert dict(SERVER_OPTIONS)[size] == MAX_BATCH_BYTES


async def test_a_message_has_a_largest_size(tmp_path: Path) -> None:
    """A device's own limit refuses it before it is sent; the switch's, if a device has none."""
    async with serving(tmp_path) as switch:
        identity = switch.identity("agent/shop/till")
        large = SettlePaymentRequest(request_id="x" * MAX_BATCH_BYTES)
        credentials = grpc.ssl_channel_credentials(
            identity.root_pem, identity.key_pem, identity.chain_pem
        )
        for channel in (
            open_channel(identity),
            grpc.aio.secure_channel(switch.address, credentials),
        ):
            async with channel:
                stub = PaymentServiceStub(channel)
                await stub.SettlePayment(SettlePaymentRequest(), timeout=TIMEOUT_S)
                with pytest.raises(grpc.aio.AioRpcError) as failed:
                    await stub.SettlePayment(large, timeout=TIMEOUT_S)
                assert failed.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_line_in_back_off_waits_for_its_switch(tmp_path: Path) -> None:
    """A call that does not say so fails at once, though the switch is there again."""
    switch, states = RunningSwitch.start(tmp_path / "data", shards=1), States()
    with open_blocking_channel(switch.operator) as channel:
        channel.subscribe(states.put)
        method = AccountServiceStub(channel).GetTrialBalance
        assert ask_until_answered(method, GetTrialBalanceRequest(), TIMEOUT_S).balanced
        switch.kill()
        while states.get(timeout=TIMEOUT_S) is not grpc.ChannelConnectivity.TRANSIENT_FAILURE:
            with pytest.raises(grpc.RpcError):
                method(GetTrialBalanceRequest(), timeout=TIMEOUT_S)
        begin = time.monotonic()
        with pytest.raises(grpc.RpcError):
            ask_until_answered(method, GetTrialBalanceRequest(), 1.0)
        assert time.monotonic() - begin < TIMEOUT_S
        switch.restart()
        assert ask_until_answered(method, GetTrialBalanceRequest(), 2 * TIMEOUT_S).balanced
    switch.kill()
