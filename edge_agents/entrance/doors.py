"""Which doors the hub counts for: terminals of its own venue whose certificates are good.

TLS has verified the chain up to the root, and no more: the root also stands above phones, and gRPC
has no revocation lists. So the issuer must be the one that certifies terminals, the hub's own, and
the certificate must not stand on the deny list, which the switch keeps up to date at every agent.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from cryptography import x509

from edge_agents.deny_list import CERTIFICATE, DenyList
from kessai.device_identity import DeviceIdentity
from kessai.identity_path import AGENT, parse_device, parse_identity
from kessai.pem import UNREADABLE

CACHED_CERTIFICATES = 1024

_SERIAL_BYTES = 20
_STRANGER = "this hub counts for its own venue's doors only"
_REVOKED = "this door's certificate was revoked; ask the operator"
_ENDED = "this door's certificate is not in date; look at the clocks, or pair it again"


class DoorRefused(Exception):
    """The hub does not count for this caller; the message says why."""


class Doors:
    """The doors of one venue, as a hub of it knows them."""

    def __init__(
        self, identity: DeviceIdentity, deny_list: DenyList, now_us: Callable[[], int]
    ) -> None:
        """`identity` is the hub's own; its chain holds the issuer of terminals."""
        self._domain, device = parse_identity(identity.identity)
        self._merchant_id = parse_device(device)[1][0]
        chain = x509.load_pem_x509_certificates(identity.chain_pem)
        self._issuer = chain[1]
        self._deny_list, self._now_us = deny_list, now_us
        self._read = lru_cache(CACHED_CERTIFICATES)(self._read_certificate)

    def require(self, certificate_pem: bytes) -> None:
        """Let a caller's certificate pass, or raise DoorRefused. For every call, not every line."""
        certificate = self._read(certificate_pem)
        begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        if not begin.timestamp() * 1e6 <= self._now_us() < end.timestamp() * 1e6:
            raise DoorRefused(_ENDED)
        serial = certificate.serial_number.to_bytes(_SERIAL_BYTES, "big")
        if self._deny_list.is_denied(CERTIFICATE, serial):
            raise DoorRefused(_REVOKED)

    def _read_certificate(self, certificate_pem: bytes) -> x509.Certificate:
        try:
            certificate = x509.load_pem_x509_certificate(certificate_pem)
            domain, device = parse_identity(_identity_of(certificate))
            kind, names = parse_device(device)
            certificate.verify_directly_issued_by(self._issuer)
        except UNREADABLE:
            raise DoorRefused(_STRANGER) from None
        if (domain, kind, names[0]) != (self._domain, AGENT, self._merchant_id):
            raise DoorRefused(_STRANGER)
        return certificate


def _identity_of(certificate: x509.Certificate) -> str:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    identities = names.value.get_values_for_type(x509.UniformResourceIdentifier)
    if not names.critical or len(identities) != 1:
        raise ValueError("not exactly one identity")
    return identities[0]
