"""What the phone checks before the customer sees a purchase (mission row B1).

A purchase is what a terminal presented: its payment request and the merchant certificate that says
who it is. Each check is one line of a ladder; what does not pass has a reason from the registry of
`kessai.decline`, and the customer is not asked. Called by `wallet`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from google.protobuf.timestamp_pb2 import Timestamp

from kessai.decline import name_of
from kessai.envelope import (
    MERCHANT_CERTIFICATE,
    PAYMENT_REQUEST,
    DocumentMalformed,
    SignatureInvalid,
    load_public_key,
    open_signed,
)
from kessai.identity_path import is_name
from kessai.money import Money
from kessai.plain_text import is_plain
from kessai.request_form import wrong_field, wrong_terms
from kessai.v1 import decline_pb2, payment_pb2
from kessai.v1.decline_pb2 import DeclineReason
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.payment_pb2 import MerchantCertificate, PaymentRequest
from kessai.v1.tap_pb2 import PresentPayment

CLOCK_TOLERANCE_US = 5_000_000

_UNSPECIFIED = decline_pb2.DECLINE_REASON_UNSPECIFIED
_FORGED = decline_pb2.DECLINE_REASON_REQUEST_SIGNATURE_INVALID
_MALFORMED = decline_pb2.DECLINE_REASON_REQUEST_MALFORMED


class Refused(Exception):
    """The purchase is not shown to the customer; `reason` says why."""

    def __init__(self, reason: DeclineReason.ValueType) -> None:
        super().__init__(name_of(reason))
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Purchase:
    """What the customer is asked to pay, with all signatures verified."""

    request_hash: bytes
    signed_request: bytes
    request: PaymentRequest
    certificate: MerchantCertificate

    @property
    def shop(self) -> str:
        """The name to show: from the certificate, never from the terminal."""
        return self.certificate.display_name

    @property
    def total(self) -> Money:
        """What is to be paid."""
        return Money.from_proto(self.request.total)

    @property
    def is_direct(self) -> bool:
        """Tell whether this phone submits it by its own line (row B2)."""
        return self.request.submitter == payment_pb2.PAYMENT_SUBMITTER_PHONE

    @property
    def needs_no_pin(self) -> bool:
        """Tell whether the merchant lets this amount pass without a PIN, as the switch does."""
        limit, total = self.certificate.unverified_limit, self.request.total
        return (
            total.currency_code == limit.currency_code and total.amount_minor <= limit.amount_minor
        )

    @property
    def settle_until(self) -> Timestamp:
        """Until when it may be settled: longer if the terminal may accept it without the switch."""
        has_deferred = self.request.HasField("deferred_expire_time")
        return self.request.deferred_expire_time if has_deferred else self.request.expire_time


def open_purchase(present: PresentPayment, switch_key: Ed25519PublicKey) -> Purchase:
    """Verify what a terminal presents; Refused if it is forged, or makes no sense."""
    certificate = open_certificate(present.merchant_certificate, switch_key)
    signed = present.payment_request
    try:
        terminal_key = load_public_key(certificate.terminal_public_key)
        request = open_signed(signed, PAYMENT_REQUEST, terminal_key, PaymentRequest.FromString)
    except SignatureInvalid:
        raise Refused(_FORGED) from None
    except DocumentMalformed:
        raise Refused(_MALFORMED) from None
    reason = _request_refusal(request, certificate)
    if reason != _UNSPECIFIED:
        raise Refused(reason)
    request_hash = hashlib.sha256(signed.payload).digest()
    return Purchase(request_hash, signed.SerializeToString(), request, certificate)


def open_certificate(signed: Signed, switch_key: Ed25519PublicKey) -> MerchantCertificate:
    """Verify who a terminal is; Refused if the switch did not say so, or it makes no sense."""
    try:
        certificate = open_signed(
            signed, MERCHANT_CERTIFICATE, switch_key, MerchantCertificate.FromString
        )
    except SignatureInvalid:
        raise Refused(_FORGED) from None
    except DocumentMalformed:
        raise Refused(_MALFORMED) from None
    reason = _certificate_refusal(certificate)
    if reason != _UNSPECIFIED:
        raise Refused(reason)
    return certificate


def certificate_time_refusal(
    certificate: MerchantCertificate, now_us: int
) -> DeclineReason.ValueType:
    """Tell whether a terminal's certificate is out of date; UNSPECIFIED if it is in date."""
    if _us(certificate.expire_time) <= now_us:
        return decline_pb2.DECLINE_REASON_EXPIRED
    if _us(certificate.issue_time) > now_us + CLOCK_TOLERANCE_US:
        return decline_pb2.DECLINE_REASON_CLOCK_AHEAD
    return _UNSPECIFIED


def time_refusal(purchase: Purchase, now_us: int) -> DeclineReason.ValueType:
    """Tell whether it is too late or too early for a purchase; UNSPECIFIED if it is in time."""
    request = purchase.request
    reason = certificate_time_refusal(purchase.certificate, now_us)
    if reason != _UNSPECIFIED:
        return reason
    if _us(request.expire_time) + CLOCK_TOLERANCE_US <= now_us:
        return decline_pb2.DECLINE_REASON_EXPIRED
    if _us(request.create_time) > now_us + CLOCK_TOLERANCE_US:
        return decline_pb2.DECLINE_REASON_CLOCK_AHEAD
    return _UNSPECIFIED


def _certificate_refusal(certificate: MerchantCertificate) -> DeclineReason.ValueType:
    if not is_plain(certificate.display_name, 40):
        return _MALFORMED
    if not is_name(certificate.merchant_id) or not is_name(certificate.terminal_id):
        return _MALFORMED
    return _UNSPECIFIED


def _request_refusal(
    request: PaymentRequest, certificate: MerchantCertificate
) -> DeclineReason.ValueType:
    if request.merchant_id != certificate.merchant_id:
        return decline_pb2.DECLINE_REASON_REQUEST_NOT_FROM_CALLER
    if request.terminal_id != certificate.terminal_id:
        return decline_pb2.DECLINE_REASON_REQUEST_NOT_FROM_CALLER
    return _form_refusal(request, wrong_field)


def terms_refusal(request: PaymentRequest) -> DeclineReason.ValueType:
    """Tell what is wrong with id, times, lines or total of a request; UNSPECIFIED if nothing is."""
    return _form_refusal(request, wrong_terms)


def _form_refusal(
    request: PaymentRequest, wrong: Callable[[PaymentRequest], str]
) -> DeclineReason.ValueType:
    if request.total.amount_minor <= 0:
        return decline_pb2.DECLINE_REASON_AMOUNT_NOT_POSITIVE
    return _MALFORMED if wrong(request) else _UNSPECIFIED


def _us(time: Timestamp) -> int:
    return time.seconds * 1_000_000 + time.nanos // 1_000
