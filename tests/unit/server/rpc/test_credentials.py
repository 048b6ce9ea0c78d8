"""The switch's own certificate: renewed while it runs, and no line is cut for it."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import sys
from pathlib import Path

from cryptography import x509
from grpc_health.v1 import health_pb2, health_pb2_grpc

from kessai.channel import open_channel
from tests.unit.server.ports import DAY_US, serving
from tests.unit.server.rpc.many_handshakes import HANDSHAKES

TIMEOUT_S = 60.0


async def shown(address: str) -> x509.Certificate:
    """Read the certificate that a port shows."""
    host, _, port = address.rpartition(":")
    pem = await asyncio.to_thread(ssl.get_server_certificate, (host, int(port)), timeout=TIMEOUT_S)
    return x509.load_pem_x509_certificate(pem.encode())


async def test_the_switch_renews_its_own_certificate(tmp_path: Path) -> None:
    """New lines see the new one when two thirds are over; open lines stay."""
    async with (
        serving(tmp_path) as switch,
        open_channel(switch.identity("operator/joe")) as channel,
    ):
        health = health_pb2_grpc.HealthStub(channel)
        await health.Check(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_S)
        first = await shown(switch.pairing_address)
        assert await shown(switch.pairing_address) == first
        switch.clock.ahead_us = 61 * DAY_US
        second = await shown(switch.pairing_address)
        assert second.serial_number != first.serial_number
        assert second.public_key() != first.public_key()
        assert second.not_valid_after_utc > first.not_valid_after_utc
        await health.Check(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_S)


def test_many_handshakes_at_once_do_not_end_the_switch(tmp_path: Path) -> None:
    """In a process of its own: gRPC crashed there when a certificate was handed over each time."""
    words = ["-m", "tests.unit.server.rpc.many_handshakes", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) == HANDSHAKES
