"""A fleet without a switch's books: one authority, a server of the fleet, machines, and liars."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from edge_agents.relay_address import RelayAddress
from edge_agents.relay_channel import RelayChannel
from kessai.device_identity import DeviceIdentity
from kessai.enrollment.tls_key import key_pem
from kessai.envelope import RELAYED_ANSWER, read_unverified, sign
from kessai.relayed import RELAY_SERVICE, call_hash
from kessai.v1.device_pb2 import TrustBundle
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.relay_pb2 import (
    GetRelayResponse,
    PassCallRequest,
    PassCallResponse,
    RelayedAnswer,
    RelayedCall,
)
from server.identity.authority import Authority
from server.rpc.errors import RpcError, status_of

DOMAIN, FLEET, MERCHANT = "switch.test", "nordic", "snacks"

Context = grpc.aio.ServicerContext[Any, Any]
Answering = Callable[[bytes, Context], Awaitable[bytes]]


def now_us() -> int:
    """Tell the real time."""
    return time.time_ns() // 1000


@dataclass
class Fleet:
    """Who certifies its server and its machines, and signs as the switch."""

    folder: Path
    switch_key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    signing_key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    switch_address: str = ""

    def __post_init__(self) -> None:
        identity = self.folder / "identity"
        identity.mkdir()
        self.authority = Authority.create(identity, self.folder / "offline", DOMAIN, now_us)

    def identity(self, device: str) -> DeviceIdentity:
        """Certify a device."""
        key = ec.generate_private_key(ec.SECP256R1())
        chain, root = self.authority.issue(device, key.public_key()).chain, self.authority.root
        bundle = TrustBundle(
            root_certificate=root.public_bytes(Encoding.DER),
            switch_public_key=self.switch_key.public_key().public_bytes_raw(),
            sealing_public_key=bytes([9]) + bytes(31),
        )
        return DeviceIdentity(
            f"spiffe://{DOMAIN}/{device}", self.switch_address, self.authority.root_fingerprint,
            key_pem(key), chain, self.authority.root_pem, bundle,
        )  # fmt: skip

    @property
    def server(self) -> DeviceIdentity:
        """The fleet's server."""
        return self.identity(f"relay/{FLEET}")

    def machine(self, merchant: str = MERCHANT) -> DeviceIdentity:
        """A machine of a merchant's."""
        return self.identity(f"agent/{merchant}/machine-1")

    @asynccontextmanager
    async def line(
        self, address: str, identity: DeviceIdentity | None = None, fleet: str = FLEET
    ) -> AsyncIterator[RelayChannel]:
        """A machine's line to a fleet's server."""
        relay = RelayAddress(fleet, address)
        who = identity or self.machine()
        async with RelayChannel(relay, who, self.signing_key, now_us, os.urandom) as channel:
            yield channel

    @asynccontextmanager
    async def liar(
        self, answer: Answering, identity: DeviceIdentity | None = None
    ) -> AsyncIterator[str]:
        """A server with a good certificate whose software is somebody else's; its address."""
        who = identity or self.server
        credentials = grpc.ssl_server_credentials(
            [(who.key_pem, who.chain_pem)], who.root_pem, require_client_auth=True
        )
        async with _serving(credentials, answer) as address:
            yield address

    @asynccontextmanager
    async def switch(self, answer: Answering, *merchants: str) -> AsyncIterator[None]:
        """A switch that answers calls so, and says whom the fleet's server serves."""
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        leaf = self.authority.issue_server(key.public_key(), ("127.0.0.1",))
        root = self.authority.root_pem
        credentials = grpc.ssl_server_credentials(
            [(pem, leaf.chain)], root, require_client_auth=True
        )
        served = GetRelayResponse(fleet_id=FLEET, merchant_ids=merchants or [MERCHANT])
        content = served.SerializeToString()
        async with _serving(credentials, answer, content) as address:
            self.switch_address = address
            yield

    def signed_answer(self, request: bytes, content: RelayedAnswer) -> bytes:
        """What the switch answers to a call."""
        content.call_hash = call_hash(PassCallRequest.FromString(request).call)
        signed = sign(RELAYED_ANSWER, content, self.switch_key)
        return PassCallResponse(answer=signed).SerializeToString()

    def refusal(self, request: bytes, error: RpcError) -> bytes:
        """What the switch answers to a call that it refuses."""
        status = status_of(error).SerializeToString()
        return self.signed_answer(request, RelayedAnswer(status=status))


def call_in(request: bytes) -> RelayedCall:
    """The call that a machine signed."""
    return read_unverified(PassCallRequest.FromString(request).call, RelayedCall)


def signed_in(answer: bytes) -> Signed:
    """The signed answer in what the switch sent."""
    return PassCallResponse.FromString(answer).answer


@asynccontextmanager
async def _serving(
    credentials: grpc.ServerCredentials, answer: Answering, relay: bytes = b""
) -> AsyncIterator[str]:
    async def get_relay(_: bytes, __: Context) -> bytes:
        return relay

    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
        "PassCall": grpc.unary_unary_rpc_method_handler(answer),
        "GetRelay": grpc.unary_unary_rpc_method_handler(get_relay),
    }
    generic = grpc.method_handlers_generic_handler(RELAY_SERVICE, handlers)
    server.add_generic_rpc_handlers((generic,))
    number = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    try:
        yield f"127.0.0.1:{number}"
    finally:
        await server.stop(None)
