"""Which root a switch stands on, found before anything is trusted or sent.

Python's ssl shows no certificate that it has not verified, hence pyOpenSSL. Only the handshake is
made here; the chain is read, and the line closed. Called by `pairing` alone.
"""

from __future__ import annotations

import hashlib
import ipaddress
import select
import socket
import time

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL

from kessai.complaint import Complaint
from kessai.pairing_code import PairingCode
from kessai.pem import UNREADABLE


def fetch_root(pairing: PairingCode, timeout_s: float) -> bytes:
    """Fetch the root certificate of a switch, PEM, by the fingerprint in the pairing code.

    Complaint if the switch cannot be reached, stands on another root, or has a certificate for
    other addresses than the one in the code.
    """
    host, _, port = pairing.server.rpartition(":")
    address = (host.strip("[]"), int(port))
    try:
        chain = _fetch_chain(address, timeout_s)
    except (OSError, SSL.Error):
        raise Complaint(
            f"The switch at {pairing.server} cannot be reached. Check the address and the network, "
            "and pair again with the same code: it stays good for ten minutes."
        ) from None
    except UNREADABLE:
        chain = []  # nothing that this switch would show
    roots = [certificate for certificate in chain if _is_named(certificate, pairing)]
    if not roots:
        raise Complaint(
            f"What answers at {pairing.server} is not the switch that the pairing code names: "
            "somebody may stand in between. Nothing was sent to it. Ask for a new code."
        )
    if _host(address[0]) not in _hosts_of(chain[0]):
        raise Complaint(
            f"The switch's certificate is not for {address[0]}. Nothing was sent to it. Ask the "
            "operator to add this address to other_hosts of the switch."
        )
    return roots[0].public_bytes(Encoding.PEM)


def _is_named(certificate: x509.Certificate, pairing: PairingCode) -> bool:
    der = certificate.public_bytes(Encoding.DER)
    return hashlib.sha256(der).digest() == pairing.root_fingerprint


def _hosts_of(leaf: x509.Certificate) -> set[str]:
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except UNREADABLE:
        return set()
    addresses = map(str, names.get_values_for_type(x509.IPAddress))
    return {*map(_host, names.get_values_for_type(x509.DNSName)), *addresses}


def _host(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text.lower()


def _fetch_chain(address: tuple[str, int], timeout_s: float) -> list[x509.Certificate]:
    deadline = time.monotonic() + timeout_s
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_verify(SSL.VERIFY_NONE)
    context.set_alpn_protos([b"h2"])
    with socket.create_connection(address, timeout_s) as line:
        line.setblocking(False)
        connection = SSL.Connection(context, line)
        connection.set_connect_state()
        _shake_hands(connection, line, deadline)
        return connection.get_peer_cert_chain(as_cryptography=True) or []


def _shake_hands(connection: SSL.Connection, line: socket.socket, deadline: float) -> None:
    while True:
        try:
            connection.do_handshake()
            return
        except (SSL.WantReadError, SSL.WantWriteError) as want:
            reading = [line] if isinstance(want, SSL.WantReadError) else []
            writing = [] if reading else [line]
            ready = select.select(reading, writing, [], max(0.0, deadline - time.monotonic()))
            if not any(ready):
                raise TimeoutError from None
