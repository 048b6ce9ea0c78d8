"""TLS of the two ports: the main one asks for a certificate of ours, the pairing one for none.

gRPC for Python cannot ask for a certificate without requiring it, hence two ports. The switch's own
key and certificate live in memory only: new at every start, and renewed while it runs, without
cutting a line.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import grpc
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from kessai.identity_path import SERVER
from server.identity.authority import LIFETIME_DAYS, Authority, renewal_us


def _nobody_listens() -> None: ...


class ServerCertificate:
    """The switch's certificate under its host names and addresses, always in date."""

    def __init__(
        self,
        authority: Authority,
        hosts: tuple[str, ...],
        now_us: Callable[[], int],
        on_line: Callable[[], None] = _nobody_listens,
    ) -> None:
        """`on_line` is called as each line begins its handshake, from a thread of gRPC's."""
        self._authority = authority
        self._hosts = hosts
        self._now_us, self._on_line = now_us, on_line
        self._lock, self._handing_over = threading.Lock(), threading.Lock()
        self._renew()

    def main_port(self) -> grpc.ServerCredentials:
        """Mutual TLS: only certificates below our root get in."""
        return self._credentials(require_client_certificate=True)

    def pairing_port(self) -> grpc.ServerCredentials:
        """TLS where the caller shows nothing; for EnrollmentService alone."""
        return self._credentials(require_client_certificate=False)

    def _credentials(self, require_client_certificate: bool) -> grpc.ServerCredentials:
        roots = self._authority.root_pem if require_client_certificate else None
        given = self._current()

        def renewed() -> grpc.ServerCertificateConfiguration | None:
            # None: go on with what was given. gRPC swaps what is given without a lock against other
            # handshakes, and ends the process if two of them meet in it; so only once a renewal.
            nonlocal given
            self._on_line()
            with self._handing_over:
                pair = self._current()
                if pair is given:
                    return None
                given = pair
            return grpc.ssl_server_certificate_configuration([pair], roots)

        first = grpc.ssl_server_certificate_configuration([given], roots)
        return grpc.dynamic_ssl_server_credentials(
            first,
            renewed,  # type: ignore[arg-type]  # its documentation allows None, its stub does not
            require_client_certificate,
        )

    def _current(self) -> tuple[bytes, bytes]:
        # gRPC asks at every handshake, from its own threads.
        with self._lock:
            if self._now_us() >= self._renew_us:
                self._renew()
            return self._pair

    def _renew(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = self._authority.issue_server(key.public_key(), self._hosts)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self._pair = (pem, leaf.chain)
        self._renew_us = renewal_us(leaf.expire_us, LIFETIME_DAYS[SERVER])
