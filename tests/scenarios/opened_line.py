"""A line to the switch with TLS opened: what a terminal says and hears there, as it sees it.

It has a certificate under the switch's own authority, which nobody has in the field, takes every
call and passes its bytes on with the terminal's certificate.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import grpc
from cryptography.hazmat.primitives.asymmetric import ec

from kessai.device_identity import DeviceIdentity
from kessai.enrollment.tls_key import key_pem
from server.identity.authority import Authority
from tests.running import CALL_LIMIT_S, RunningSwitch


class OpenedLine(grpc.GenericRpcHandler):
    """The opened line of one terminal, which calls `address`."""

    def __init__(
        self, switch: RunningSwitch, terminal: DeviceIdentity, now_us: Callable[[], int]
    ) -> None:
        """Listen on a free port."""
        self.said: list[bytes] = []
        self._methods: list[str] = []
        self.heard: list[bytes] = []
        self._channel = switch.channel(terminal)
        authority = Authority.load(switch.folder / "identity", now_us)
        key = ec.generate_private_key(ec.SECP256R1())
        chain = authority.issue_server(key.public_key(), ("127.0.0.1",)).chain
        self._server = grpc.server(ThreadPoolExecutor(4), handlers=[self])
        credentials = grpc.ssl_server_credentials(
            [(key_pem(key), chain)], terminal.root_pem, require_client_auth=True
        )
        self.address = f"127.0.0.1:{self._server.add_secure_port('127.0.0.1:0', credentials)}"
        self._server.start()

    def asked(self, method: str) -> list[bytes]:
        """The requests to a method, by its short name."""
        calls = zip(self._methods, self.said, strict=True)
        return [said for of, said in calls if of.endswith(f"/{method}")]

    def close(self) -> None:
        """Stop listening."""
        self._server.stop(grace=None).wait()
        self._channel.close()

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        """Carry any call."""
        pass_on: grpc.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(
            details.method
        )

        def carry(message: bytes, context: grpc.ServicerContext) -> bytes:
            self._methods.append(details.method)
            self.said.append(message)
            answer: bytes = pass_on(message, timeout=CALL_LIMIT_S)
            self.heard.append(answer)
            return answer

        return grpc.unary_unary_rpc_method_handler(carry)
