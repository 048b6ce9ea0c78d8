"""Certificates that were issued after the backup from which the books were restored."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from kessai.channel import open_channel
from tests.unit.server.ports import serving
from tests.unit.server.rpc.test_guard import OPERATOR, TIMEOUT_S, health_of


async def test_a_certificate_that_a_restore_lost_is_refused(tmp_path: Path) -> None:
    """Nobody could revoke it: these books know neither it nor its operator."""
    async with serving(tmp_path) as switch:
        lost = switch.identity(OPERATOR)
        assert await health_of(lost) == grpc.StatusCode.OK
        switch.directory._restore_us = switch.clock()
        assert await health_of(lost) == grpc.StatusCode.UNAUTHENTICATED


async def test_streams_of_a_certificate_that_a_restore_lost_are_cut_off(tmp_path: Path) -> None:
    """Its number is in no book here; when its device is revoked its streams end all the same."""
    async with serving(tmp_path) as switch:
        switch.clock.ahead_us = -7_200_000_000
        switch.operators.add("eve", tmp_path / "eve", switch.address)
        switch.clock.ahead_us = 0
        lost = switch.identity("operator/eve")
        switch.directory._restore_us = switch.clock() + 2_000_000
        async with open_channel(lost) as theirs:
            stream = health_pb2_grpc.HealthStub(theirs).Watch(
                health_pb2.HealthCheckRequest(), timeout=30
            )
            await stream.read()
            switch.fleet.revoke("operator/eve", even_the_last=True)
            with pytest.raises(grpc.aio.AioRpcError) as ended:
                await asyncio.wait_for(stream.read(), TIMEOUT_S)
            assert ended.value.code() == grpc.StatusCode.UNAUTHENTICATED
