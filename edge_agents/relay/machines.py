"""Which machines a fleet's server serves: terminals of its merchants, and how much of each.

TLS has verified the chain up to the root, which also stands above phones; so the issuer must be the
one that certifies terminals. Whether a terminal was revoked the switch says at each call.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from cryptography import x509

from kessai.device_identity import DeviceIdentity
from kessai.identity_path import AGENT, parse_device, parse_identity
from kessai.pem import UNREADABLE

CACHED_CERTIFICATES = 4096
# Of one machine: calls under way at the same time, and calls a second, saved up for some seconds.
CALLS_AT_ONCE = 8
CALLS_PER_SECOND, SAVED_S = 10.0, 4.0


class MachineRefused(Exception):
    """Nothing is passed for this caller; the message says why. `later`: it may change soon."""

    def __init__(self, message: str, later: bool = False) -> None:
        super().__init__(message)
        self.later = later


class Machines:
    """The terminals of a fleet's merchants."""

    def __init__(self, identity: DeviceIdentity, now_us: Callable[[], int]) -> None:
        """`identity` is the server's own; its chain holds the issuer of terminals."""
        self._domain, self.device = parse_identity(identity.identity)
        self._issuer = x509.load_pem_x509_certificates(identity.chain_pem)[1]
        self._now_us = now_us
        self._read = lru_cache(CACHED_CERTIFICATES)(self._read_certificate)
        self._pace: dict[str, Pace] = {}
        self.merchants: frozenset[str] | None = None

    def require(self, certificate_pem: bytes) -> Pace:
        """What a caller may still ask, by its certificate; MachineRefused if it is none of ours."""
        machine, begin_us, end_us = self._read(certificate_pem)
        if not begin_us <= self._now_us() < end_us:
            raise MachineRefused("this machine's certificate is not in date: look at the clocks")
        if self.merchants is None:
            raise MachineRefused("whom this server serves is not known yet", later=True)
        if parse_device(machine)[1][0] not in self.merchants:
            raise MachineRefused(f"{self.device} serves no machines of this merchant")
        return self._pace.setdefault(machine, Pace(machine, self._now_us))

    def _read_certificate(self, certificate_pem: bytes) -> tuple[str, int, int]:
        try:
            certificate = x509.load_pem_x509_certificate(certificate_pem)
            names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
            (identity,) = names.value.get_values_for_type(x509.UniformResourceIdentifier)
            domain, machine = parse_identity(identity)
            certificate.verify_directly_issued_by(self._issuer)
        except UNREADABLE:
            raise MachineRefused("this server serves machines of its fleet only") from None
        if domain != self._domain or parse_device(machine)[0] != AGENT:
            raise MachineRefused("this server serves machines of its fleet only")
        begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        return machine, int(begin.timestamp() * 1e6), int(end.timestamp() * 1e6)


class Pace:
    """What one machine asks: so many calls at once, so many a second."""

    def __init__(self, machine: str, now_us: Callable[[], int]) -> None:
        self.machine, self._now_us = machine, now_us
        self._most = CALLS_PER_SECOND * SAVED_S
        self._left, self._at_us, self._under_way = self._most, now_us(), 0

    def __enter__(self) -> None:
        """Begin a call; MachineRefused if it is one too many."""
        now_us = self._now_us()
        saved = max(0, now_us - self._at_us) / 1e6 * CALLS_PER_SECOND
        self._left, self._at_us = min(self._most, self._left + saved), now_us
        if self._left < 1 or self._under_way >= CALLS_AT_ONCE:
            raise MachineRefused("this machine asks more than it may: try again later", later=True)
        self._left -= 1
        self._under_way += 1

    def __exit__(self, *_: object) -> None:
        """End a call."""
        self._under_way -= 1
