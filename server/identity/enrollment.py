"""Enrolment and renewal: how a key becomes the key of a device.

A device shows a pairing code, a signing request for its TLS key, and proof that it holds its
signing key. The same code with the same keys gets the first answer again, as long as the code
lasts; with other keys it is refused. A device that is paired anew replaces its former self.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from kessai.envelope import (
    DocumentMalformed,
    SignatureInvalid,
    key_id_of,
    load_public_key,
    verify_bytes,
)
from kessai.identity_path import AGENT, OPERATOR, PHONE, RELAY, parse_device
from kessai.plain_text import TextError, check_text
from server.domain.directory import DeviceEntry, IssuedCertificate
from server.identity.authority import LIFETIME_DAYS, Authority
from server.identity.callers import Caller
from server.identity.certificates import DAY_US, public_key_of_request
from server.identity.merchants import Merchants
from server.identity.pairing import PairingDesk
from server.identity.refusals import (
    CertificateRefused,
    DailyLimitReached,
    FieldRefused,
    PairingRefused,
    RequestIdReused,
)
from server.shards.directory import Directory

MAX_SOFTWARE_VERSION = 80
RENEWALS_A_DAY = 24

_PROOF_CONTEXT = b"kessai/enroll/v1\0"
_SIGNING_KEY_BYTES = {AGENT: 32, PHONE: 65, RELAY: 32}


@dataclass(frozen=True, slots=True)
class Application:
    """What a device sends to be enrolled; the fields of EnrollDeviceRequest."""

    pairing_code: str
    signing_request: bytes
    signing_key: bytes
    signing_key_proof: bytes
    software_version: str


class Enrollment:
    """Issues certificates to devices that may have them. Its methods may run in any thread."""

    def __init__(
        self,
        directory: Directory,
        authority: Authority,
        merchants: Merchants,
        desk: PairingDesk,
        now_us: Callable[[], int],
        renewals_a_day: int = RENEWALS_A_DAY,
    ) -> None:
        self._directory = directory
        self._authority = authority
        self._merchants = merchants
        self._desk = desk
        self._now_us = now_us
        self._renewals_a_day = renewals_a_day
        # One after another: a code must not be used twice in the same moment.
        self._lock = threading.Lock()

    def enroll(
        self, application: Application, address: str = ""
    ) -> tuple[IssuedCertificate, tuple[int, ...]]:
        """Make a device of whoever has the code; gives its certificate and its wallet's accounts.

        Wrong codes count against the address that the application came from.

        PairingRefused, TooManyGuesses, FieldRefused.
        """
        version = application.software_version
        try:
            check_text(version, MAX_SOFTWARE_VERSION, least=0)
        except TextError as error:
            raise FieldRefused("software_version", str(error)) from None
        with self._lock:
            grant = self._desk.take_in(application.pairing_code, address)
            tls_key = public_key_of_request(application.signing_request)
            key_id = _check_signing_key(application, grant.device)
            keys_hash = _keys_hash(tls_key, application.signing_key)
            issued = self._directory.certificate(grant.request_id)
            if issued is not None:
                if issued.keys_hash != keys_hash:
                    raise PairingRefused
                return issued, grant.accounts
            self._require_fresh(key_id, grant.device)
            issued = self._issue(
                grant.request_id, grant.device, tls_key, application.signing_key, keys_hash
            )
            entry = DeviceEntry(issued, key_id, application.signing_key, version, self._now_us())
            if not self._directory.enroll(entry):
                raise PairingRefused  # the device was revoked meanwhile, with its codes
            return issued, grant.accounts

    def renew(self, caller: Caller, request_id: bytes, signing_request: bytes) -> IssuedCertificate:
        """Issue a further certificate to a device that has one. The identity stays.

        FieldRefused, RequestIdReused, DailyLimitReached; CertificateRefused or CertificateRevoked
        if the device was revoked, or paired anew, meanwhile.
        """
        device = caller.device
        tls_key = public_key_of_request(signing_request)
        keys_hash = _keys_hash(tls_key, b"")
        with self._lock, self._directory.while_good(caller.serial):
            issued = self._directory.certificate(request_id)
            if issued is not None:
                if (issued.device, issued.keys_hash) != (device, keys_hash):
                    raise RequestIdReused
                return issued
            self._require_room(device)
            signing_key = self._signing_key_of(device)
            issued = self._issue(request_id, device, tls_key, signing_key, keys_hash)
            self._directory.add_certificate(issued)
            return issued

    def _issue(
        self,
        request_id: bytes,
        device: str,
        tls_key: ec.EllipticCurvePublicKey,
        signing_key: bytes,
        keys_hash: bytes,
    ) -> IssuedCertificate:
        leaf = self._authority.issue(device, tls_key)
        kind, names = parse_device(device)
        certificate = b""
        if kind == AGENT:
            now_us = self._now_us()
            certificate = self._merchants.certify(names, signing_key, now_us, leaf.expire_us)
        return IssuedCertificate(
            leaf.serial, device, request_id, keys_hash, leaf.chain, certificate, leaf.expire_us
        )

    def _signing_key_of(self, device: str) -> bytes:
        if parse_device(device)[0] == OPERATOR:
            return b""  # operators sign no documents
        for key in self._directory.signing_keys(device):
            if not key.revoked:
                return key.public_key
        raise CertificateRefused("this device was revoked; ask the operator")

    def _require_room(self, device: str) -> None:
        kind, _ = parse_device(device)
        # A certificate of this day ends so late: its lifetime tells when it was issued.
        since_us = self._now_us() - DAY_US + LIFETIME_DAYS[kind] * DAY_US
        # The first was not renewed but paired.
        if self._directory.count_certificates(device, since_us) > self._renewals_a_day:
            raise DailyLimitReached(
                f"this device has had {self._renewals_a_day} renewals in a day; its certificate "
                "stays good. Try again tomorrow"
            )

    def _require_fresh(self, key_id: bytes, device: str) -> None:
        known = self._directory.signing_key(key_id)
        if known is not None and (known.revoked or known.device != device):
            raise FieldRefused("signing_public_key", "this key was used before; make a new one")


def _check_signing_key(application: Application, device: str) -> bytes:
    kind, _ = parse_device(device)
    raw = application.signing_key
    if len(raw) != _SIGNING_KEY_BYTES.get(kind):
        raise FieldRefused(
            "signing_public_key", "terminals and relays have Ed25519, phones have P-256"
        )
    try:
        key = load_public_key(raw)
        proven = _PROOF_CONTEXT + application.signing_request
        verify_bytes(proven, application.signing_key_proof, key)
    except DocumentMalformed as error:
        raise FieldRefused("signing_public_key", str(error)) from None
    except SignatureInvalid as error:
        raise FieldRefused("signing_key_proof", str(error)) from None
    return key_id_of(key)


def _keys_hash(tls_key: ec.EllipticCurvePublicKey, signing_key: bytes) -> bytes:
    tls = tls_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(tls + signing_key).digest()
