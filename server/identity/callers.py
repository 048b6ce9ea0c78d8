"""Who is calling: read from the certificate of the TLS line, and from nowhere else (design rule 7).

The guard of the main port reads the caller at every call and sets it; servicers ask
`current_caller()`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache

from cryptography import x509

from kessai.identity_path import (
    AGENT,
    OPERATOR,
    PHONE,
    RELAY,
    SERVER,
    IdentityError,
    parse_device,
    parse_identity,
)
from kessai.pem import UNREADABLE
from server.identity.authority import Authority
from server.identity.refusals import CertificateRefused

CACHED_CERTIFICATES = 16_384


class CallerKind(Enum):
    """What a caller is: the first part of its identity's path."""

    AGENT = AGENT
    PHONE = PHONE
    RELAY = RELAY
    OPERATOR = OPERATOR
    SERVER = SERVER


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls. `path` holds the names after the kind.

    (merchant, terminal) of an AGENT, (wallet, phone) of a PHONE, (fleet,) of a RELAY, (name,) of an
    OPERATOR. `serial` and `begin_us`, microseconds since 1970, are of his certificate.
    """

    kind: CallerKind
    path: tuple[str, ...]
    serial: int
    begin_us: int = field(default=0, compare=False)

    @property
    def device(self) -> str:
        """The path of the identity, such as "agent/shop-7/till-2"."""
        return "/".join((self.kind.value, *self.path))


_current: ContextVar[Caller] = ContextVar("kessai_caller")


def current_caller() -> Caller:
    """Tell who makes the call that is being served; LookupError outside of a guarded call."""
    return _current.get()


def known_caller() -> Caller | None:
    """Tell who makes the call that is being served, if that is known."""
    return _current.get(None)


def current_device() -> str:
    """Name the caller for a log; "-" where nobody is known."""
    caller = _current.get(None)
    return caller.device if caller else "-"


def set_current_caller(caller: Caller) -> None:
    """Say who makes this call; it ends with the call's own task."""
    _current.set(caller)


@contextmanager
def served_as(caller: Caller) -> Iterator[None]:
    """Serve somebody else's call within this one: the terminal's that a fleet's server passes."""
    before = _current.set(caller)
    try:
        yield
    finally:
        _current.reset(before)


class Callers:
    """Reads callers from their certificates, each certificate once."""

    def __init__(self, authority: Authority, now_us: Callable[[], int]) -> None:
        self._authority = authority
        self._now_us = now_us
        self._parse = lru_cache(CACHED_CERTIFICATES)(self._parse_certificate)

    def read(self, certificate_pem: bytes) -> Caller:
        """Tell who a certificate, which TLS has verified, belongs to.

        CertificateRefused if it is out of date, does not name exactly one identity of our domain,
        or was signed by another issuer than its kind of caller has.
        """
        caller, begin_us, end_us = self._parse(certificate_pem)
        if not begin_us <= self._now_us() < end_us:
            raise CertificateRefused("the certificate is out of date; pair the device again")
        return caller

    def seconds_left(self, certificate_pem: bytes) -> float:
        """Tell how long a certificate that was read is still good."""
        _, _, end_us = self._parse(certificate_pem)
        return (end_us - self._now_us()) / 1e6

    def _parse_certificate(self, certificate_pem: bytes) -> tuple[Caller, int, int]:
        try:
            certificate = x509.load_pem_x509_certificate(certificate_pem)
            kind, names = parse_device(self._device_of(certificate))
            certificate.verify_directly_issued_by(self._authority.issuer_of(kind))
        except UNREADABLE:
            raise CertificateRefused("the certificate names nobody we know") from None
        begin_us = int(certificate.not_valid_before_utc.timestamp()) * 1_000_000
        end_us = int(certificate.not_valid_after_utc.timestamp()) * 1_000_000
        caller = Caller(CallerKind(kind), names, certificate.serial_number, begin_us)
        return caller, begin_us, end_us

    def _device_of(self, certificate: x509.Certificate) -> str:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        identities = names.value.get_values_for_type(x509.UniformResourceIdentifier)
        if not names.critical or len(identities) != 1:
            raise IdentityError("not exactly one identity")
        domain, device = parse_identity(identities[0])
        if domain != self._authority.domain:
            raise IdentityError("of another domain")
        return device
