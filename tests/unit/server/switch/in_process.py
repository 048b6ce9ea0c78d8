"""A whole switch in this process, with real ports and mutual TLS, for tests that look inside."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import grpc.aio
from cryptography.hazmat.primitives.asymmetric import ec
from google.rpc import error_details_pb2  # type: ignore[import-untyped]
from grpc_status import rpc_status

from kessai.channel import open_channel
from kessai.device_identity import DeviceIdentity, load_identity
from kessai.enrollment.tls_key import key_pem
from kessai.request_id import format_request_id, new_request_id
from server import data_folder
from server.bootstrap import Switch
from server.config import ServerConfig
from server.data_folder import Running
from server.main import elapsed_us as elapsed_us
from server.shards.address import sqlite_urls

DOMAIN = "switch.test"
LIMIT_S = 60.0
FREE = "127.0.0.1:0"
CONFIG = ServerConfig(
    listen=FREE, pairing_listen=FREE, metrics_listen=FREE, drain_s=1, shard_processes=0
)


def now_us() -> int:
    """Tell the real time."""
    return time.time_ns() // 1000


def fresh_text() -> str:
    """Make a request id as text."""
    return format_request_id(new_request_id(now_us() // 1000, os.urandom))


def make_folder(folder: Path, shards: int = 2) -> None:
    """Make a data folder, if there is none."""
    if folder.exists():
        return
    data_folder.create(folder, DOMAIN, sqlite_urls(shards), CONFIG, now_us, os.urandom)


@dataclass(frozen=True)
class Served:
    """A switch that serves, where it does, and identities to call it with."""

    folder: Path
    switch: Switch
    running: Running

    @property
    def operator(self) -> DeviceIdentity:
        """The operator that init made."""
        who = load_identity(self.folder / "operator")
        return replace(who, server_address=self.running.address)

    def device(self, path: str) -> DeviceIdentity:
        """A device with a good certificate, past the pairing."""
        key = ec.generate_private_key(ec.SECP256R1())
        chain = self.switch._authority.issue(path, key.public_key()).chain
        identity = f"spiffe://{DOMAIN}/{path}"
        return replace(self.operator, identity=identity, key_pem=key_pem(key), chain_pem=chain)

    def line(self, device: str = "") -> grpc.aio.Channel:
        """Open a line for a device, or the operator."""
        return open_channel(self.device(device) if device else self.operator)


@asynccontextmanager
async def served(
    folder: Path, config: ServerConfig = CONFIG, clock: Callable[[], int] = now_us
) -> AsyncIterator[Served]:
    """Serve on a data folder, made if it is not there; by another clock, if one is given."""
    make_folder(folder)
    switch = Switch(folder, config, clock, os.urandom, elapsed_us)
    try:
        yield Served(folder, switch, await switch.start())
    finally:
        await switch.stop()


def reason_of(error: grpc.aio.AioRpcError) -> str:
    """Read the ErrorReason that a failed call carries, and the fields at fault."""
    status = rpc_status.from_call(error)
    assert status is not None, error
    info, fields = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    assert status.details[0].Unpack(info)
    assert info.domain == "kessai"
    for detail in status.details[1:]:
        assert detail.Unpack(fields)
    return " ".join([info.reason, *(violation.field for violation in fields.field_violations)])
