"""The certificate of an agent that serves others of its owner: a venue's hub, a fleet's server.

They run for months, and a certificate ends after thirty days.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import grpc

from kessai.device_identity import DeviceIdentity


class ServingCertificate:
    """The certificate that callers are shown: another one after a renewal, with no line cut."""

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
