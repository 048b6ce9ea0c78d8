"""The port of an agent that serves others of its owner: a venue's hub, a fleet's server.

Who calls is known before anything is read: to gRPC a call is a stream, which `received` reads.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import grpc.aio

from kessai.device_identity import DeviceIdentity

MAX_LINES, MAX_PORT = 1024, 65_535
# How long a caller may take to send a call that it began.
RECEIVE_S = 5.0


class CannotListen(Exception):
    """No address of this machine, or another program has it."""


def listen_on(server: grpc.aio.Server, listen: str, certificate: ServingCertificate) -> int:
    """Have a server listen on HOST:PORT; its port's number. CannotListen."""
    port = listen.rpartition(":")[2]
    # gRPC takes the low 16 bits of a larger port, and would listen where nobody calls.
    if not (port.isascii() and port.isdigit() and int(port) <= MAX_PORT):
        raise CannotListen
    try:
        return server.add_secure_port(listen, certificate.credentials())
    except RuntimeError:
        raise CannotListen from None


async def received(requests: AsyncIterator[bytes]) -> bytes | None:
    """The bytes of a call's one message; None if they do not come in time."""
    try:
        async with asyncio.timeout(RECEIVE_S):
            return await anext(aiter(requests), None)
    except TimeoutError:
        return None


class ServingCertificate:
    """The certificate that callers are shown: another one after a renewal, with no line cut.

    Such agents run for months, and a certificate ends after thirty days.
    """

    def __init__(self, identity: DeviceIdentity) -> None:
        self._lock = threading.Lock()
        self._root, self._pair = identity.root_pem, (identity.key_pem, identity.chain_pem)
        self._given = self._pair

    async def renew(self, identity: DeviceIdentity) -> None:
        """Show a renewed certificate from the next line on."""
        with self._lock:
            self._pair = (identity.key_pem, identity.chain_pem)

    def credentials(self) -> grpc.ServerCredentials:
        """Mutual TLS below our root, asked for anew at each handshake, in threads of gRPC's."""
        first = grpc.ssl_server_certificate_configuration([self._pair], self._root)
        renewed: Callable[[], Any] = self._renewed
        return grpc.dynamic_ssl_server_credentials(first, renewed, True)

    def _renewed(self) -> grpc.ServerCertificateConfiguration | None:
        # None: go on with what was given. gRPC takes a new one without a lock, so only once.
        with self._lock:
            if self._pair is self._given:
                return None
            self._given = self._pair
        return grpc.ssl_server_certificate_configuration([self._given], self._root)
