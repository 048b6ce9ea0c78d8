"""A fleet's server in an attacker's hands: it has the fleet's certificate, and all that passes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import grpc

from kessai.channel import open_blocking_channel
from kessai.device_identity import DeviceIdentity
from kessai.relayed import RELAY_METHOD, RELAY_SERVICE
from tests.running import CALL_LIMIT_S

# What becomes of a call: takes the bytes and what passes them to the switch, gives the answer.
Pass = Callable[[bytes], bytes]
Trick = Callable[[bytes, Pass], bytes]


def honest(request: bytes, pass_on: Pass) -> bytes:
    """Pass it on."""
    return pass_on(request)


@dataclass
class HostileServer:
    """What it heard and gave, and what it does with the next call."""

    relay: str
    trick: Trick = honest
    heard: list[bytes] = field(default_factory=list)
    answered: list[bytes] = field(default_factory=list)


@contextmanager
def hostile_server(identity: DeviceIdentity, fleet: str) -> Iterator[HostileServer]:
    """Serve machines with a fleet server's identity."""
    server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
    credentials = grpc.ssl_server_credentials(
        [(identity.key_pem, identity.chain_pem)], identity.root_pem, require_client_auth=True
    )
    number = server.add_secure_port("127.0.0.1:0", credentials)
    hostile = HostileServer(f"{fleet}@127.0.0.1:{number}")
    with open_blocking_channel(identity) as channel:
        ask: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(RELAY_METHOD)

        def pass_on(request: bytes) -> bytes:
            answer = ask(request, timeout=CALL_LIMIT_S)
            hostile.answered.append(answer)
            return answer

        def serve(request: bytes, _: grpc.ServicerContext) -> bytes:
            hostile.heard.append(request)
            return hostile.trick(request, pass_on)

        handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(serve)
        methods = {RELAY_METHOD.rpartition("/")[2]: handler}
        generic = grpc.method_handlers_generic_handler(RELAY_SERVICE, methods)
        server.add_generic_rpc_handlers((generic,))
        server.start()
        try:
            yield hostile
        finally:
            server.stop(None).wait()
