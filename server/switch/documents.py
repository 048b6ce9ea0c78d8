"""The documents of a payment: authentic, and in agreement with each other.

Two-sided: the terminal's request and the phone's authorisation must name the same merchant,
terminal, amount and currency, and the authorisation must be for exactly that request. One flat
ladder; the first rung that does not hold is the decline reason. Runs on a thread of its own, before
a command enters a shard's queue.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from kessai.account_number import AccountNumberError, parse_digits
from kessai.decline import name_of
from kessai.envelope import (
    PAYMENT_AUTHORIZATION,
    PAYMENT_REQUEST,
    DocumentMalformed,
    EnvelopeError,
    PublicKey,
    SignatureInvalid,
    key_id_of,
    load_public_key,
    open_signed,
    parse_strictly,
)
from kessai.identity_path import AGENT
from kessai.request_form import wrong_field
from kessai.seal import SealBroken, unseal
from kessai.settlement_terms import settle_until_us
from kessai.v1 import decline_pb2 as d
from kessai.v1 import payment_pb2
from kessai.v1.decline_pb2 import DeclineReason
from kessai.v1.envelope_pb2 import Sealed, Signed
from kessai.v1.money_pb2 import Money
from kessai.v1.payment_pb2 import (
    PaymentAuthorization,
    PaymentRequest,
    SettlePaymentRequest,
)
from server.domain.command import ACCEPTED
from server.domain.directory import Merchant, SigningKey, WalletKey


class Declined(Exception):
    """The documents do not hold: the reason, and the field that differs or breaks a rule.

    `forged`: it was signed by nobody who ever could, so no log has it and none is asked. `asked` is
    the amount of the request or bill, once that has held; before, nobody knows one.
    """

    asked: Money | None = None

    def __init__(
        self, reason: DeclineReason.ValueType, detail: str = "", *, forged: bool = False
    ) -> None:
        super().__init__(name_of(reason))
        self.reason = reason
        self.detail = detail
        self.forged = forged


class KeyDirectory(Protocol):
    """What the directory must know to verify documents."""

    def terminal_key(self, merchant_id: str, terminal_id: str) -> PublicKey | None:
        """Give the key of a terminal that is not revoked."""
        ...

    def wallet_key(self, key_id: bytes) -> WalletKey | None:
        """Give a wallet's key, revoked or not."""
        ...

    def signing_key(self, key_id: bytes) -> SigningKey | None:
        """Give any device's key, revoked or not."""
        ...


@dataclass(frozen=True, slots=True)
class Submission:
    """What came in for a terminal's request: by its own line, or by that of a wallet's phone."""

    message: SettlePaymentRequest
    request_id: bytes
    merchant: Merchant
    terminal_id: str
    wallet_id: str = ""

    @property
    def owner(self) -> str:
        """Who brought it: a terminal, or a wallet's phones."""
        merchant_id = self.merchant.merchant_id
        return self.wallet_id or f"{AGENT}/{merchant_id}/{self.terminal_id}"


@dataclass(frozen=True, slots=True)
class Purchase:
    """Authentic documents that agree. `refusal` is what is known against it all the same."""

    request: PaymentRequest
    authorization: PaymentAuthorization
    signed_authorization: Signed
    payer: int
    wallet_id: str
    refusal: DeclineReason.ValueType


def open_purchase(
    submission: Submission, directory: KeyDirectory, sealing_key: X25519PrivateKey
) -> Purchase:
    """Verify a submission from end to end; Declined with the first reason found."""
    request = _open_request(submission, directory)
    with declined_over(request.total):
        return _open_answer(submission, request, directory, sealing_key)


@contextmanager
def declined_over(amount: Money) -> Iterator[None]:
    """Have what is declined from here on declined over an amount that was verified."""
    try:
        yield
    except Declined as declined:
        declined.asked = amount
        raise


def _open_answer(
    submission: Submission,
    request: PaymentRequest,
    directory: KeyDirectory,
    sealing_key: X25519PrivateKey,
) -> Purchase:
    """Verify what answers a request that holds."""
    message = submission.message
    if (request.submitter == payment_pb2.PAYMENT_SUBMITTER_PHONE) != bool(submission.wallet_id):
        raise Declined(d.DECLINE_REASON_SUBMITTER_MISMATCH)
    request_hash = hashlib.sha256(message.payment_request.payload).digest()
    authorization, signed, wallet = open_authorization(
        message.sealed_authorization, request_hash, directory, sealing_key
    )
    if submission.wallet_id not in ("", wallet.wallet_id):
        raise Declined(d.DECLINE_REASON_WALLET_NOT_CALLER)
    differing = _difference(submission.message, request, authorization)
    if differing:
        raise Declined(d.DECLINE_REASON_AUTHORIZATION_MISMATCH, differing)
    try:
        payer = parse_digits(authorization.account_number)
    except AccountNumberError:
        raise Declined(d.DECLINE_REASON_PAYER_ACCOUNT_UNKNOWN) from None
    refusal = _refusal(authorization, submission.merchant, wallet)
    return Purchase(request, authorization, signed, payer, wallet.wallet_id, refusal)


def open_authorization(
    sealed: Sealed, document_hash: bytes, directory: KeyDirectory, sealing_key: X25519PrivateKey
) -> tuple[PaymentAuthorization, Signed, WalletKey]:
    """Open and verify what answers a request or a bill, by its hash; Declined if it does not hold.

    The wallet whose key signed it comes with it, also a revoked one.
    """
    signed = _unseal(sealed, document_hash, sealing_key)
    wallet = directory.wallet_key(signed.key_id)
    if wallet is None:
        raise Declined(d.DECLINE_REASON_WALLET_UNKNOWN)
    try:
        authorization = open_signed(
            signed, PAYMENT_AUTHORIZATION, wallet.public_key, PaymentAuthorization.FromString
        )
    except SignatureInvalid:
        raise Declined(d.DECLINE_REASON_AUTHORIZATION_SIGNATURE_INVALID) from None
    except DocumentMalformed as error:
        raise Declined(d.DECLINE_REASON_AUTHORIZATION_MALFORMED, error.rule) from None
    return authorization, signed, wallet


def _open_request(submission: Submission, directory: KeyDirectory) -> PaymentRequest:
    merchant_id, terminal_id = submission.merchant.merchant_id, submission.terminal_id
    key = directory.terminal_key(merchant_id, terminal_id)
    signed = submission.message.payment_request
    try:
        if key is None:
            raise SignatureInvalid("the terminal has no key now")
        request = open_signed(signed, PAYMENT_REQUEST, key, PaymentRequest.FromString)
    except SignatureInvalid:
        owner = f"{AGENT}/{merchant_id}/{terminal_id}"
        forged = not _is_by_former_key(signed, owner, key, directory)
        raise Declined(d.DECLINE_REASON_REQUEST_SIGNATURE_INVALID, forged=forged) from None
    except DocumentMalformed as error:
        raise Declined(d.DECLINE_REASON_REQUEST_MALFORMED, error.rule) from None
    if (request.merchant_id, request.terminal_id) != (merchant_id, terminal_id):
        raise Declined(d.DECLINE_REASON_REQUEST_NOT_FROM_CALLER)
    if request.total.amount_minor <= 0:
        raise Declined(d.DECLINE_REASON_AMOUNT_NOT_POSITIVE)
    wrong = wrong_field(request) or _other_id(request, submission)
    if wrong:
        raise Declined(d.DECLINE_REASON_REQUEST_MALFORMED, wrong)
    return request


def _is_by_former_key(
    signed: Signed, device: str, key: PublicKey | None, directory: KeyDirectory
) -> bool:
    """Whether a terminal signed a request before it was paired anew or revoked."""
    if key is not None and signed.key_id == key_id_of(key):
        return False
    former = directory.signing_key(signed.key_id)
    if former is None or former.device != device:
        return False
    try:
        former_key = load_public_key(former.public_key)
        open_signed(signed, PAYMENT_REQUEST, former_key, PaymentRequest.FromString)
    except EnvelopeError:
        return False
    return True


def _other_id(request: PaymentRequest, submission: Submission) -> str:
    return "" if request.request_id == submission.request_id else "request_id"


def _unseal(sealed: Sealed, document_hash: bytes, sealing_key: X25519PrivateKey) -> Signed:
    try:
        opened = unseal(sealed, sealing_key, document_hash)
    except SealBroken:
        raise Declined(d.DECLINE_REASON_AUTHORIZATION_UNREADABLE) from None
    try:
        return parse_strictly(opened, Signed.FromString)
    except DocumentMalformed:
        raise Declined(d.DECLINE_REASON_AUTHORIZATION_MALFORMED, "signed") from None


def _difference(
    message: SettlePaymentRequest, request: PaymentRequest, authorization: PaymentAuthorization
) -> str:
    if authorization.request_hash != hashlib.sha256(message.payment_request.payload).digest():
        return "request_hash"
    if authorization.merchant_id != request.merchant_id:
        return "merchant_id"
    if authorization.terminal_id != request.terminal_id:
        return "terminal_id"
    if authorization.amount != request.total:
        return "amount"
    if authorization.expire_time.ToMicroseconds() > settle_until_us(request):
        return "expire_time"
    if authorization.ticket_holder_public_key and not request.ticket_orders:
        return "ticket_holder_public_key"
    return ""


def _refusal(
    authorization: PaymentAuthorization, merchant: Merchant, wallet: WalletKey
) -> DeclineReason.ValueType:
    if wallet.revoked:
        return d.DECLINE_REASON_WALLET_REVOKED
    limit = merchant.unverified_limit
    verification = authorization.customer_verification
    if verification in (
        payment_pb2.CUSTOMER_VERIFICATION_DEVICE_PIN,
        payment_pb2.CUSTOMER_VERIFICATION_BIOMETRIC,
    ):
        return ACCEPTED
    amount = authorization.amount
    if (
        verification == payment_pb2.CUSTOMER_VERIFICATION_NONE
        and limit is not None
        and limit.currency == amount.currency_code
        and amount.amount_minor <= limit.minor
    ):
        return ACCEPTED
    return d.DECLINE_REASON_CUSTOMER_NOT_VERIFIED
