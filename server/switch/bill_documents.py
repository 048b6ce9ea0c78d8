"""The documents of a bill: authentic, in agreement, and submitted by whom the bill names (row B5).

One flat ladder; the first rung that does not hold is the decline reason. Runs on a thread of its
own, before a command enters a shard's queue. Used by `bills.py`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from kessai.account_number import AccountNumberError, parse_digits
from kessai.bill import payee_info, wrong_bill_field
from kessai.envelope import BILL, DocumentMalformed, SignatureInvalid, open_signed
from kessai.seal import SealBroken, unseal
from kessai.v1 import bill_pb2, payment_pb2
from kessai.v1 import decline_pb2 as d
from kessai.v1.bill_pb2 import Bill, SettleBillRequest
from kessai.v1.decline_pb2 import DeclineReason
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.payment_pb2 import PaymentAuthorization
from server.domain.command import ACCEPTED
from server.domain.directory import WalletKey
from server.switch.documents import (
    Declined,
    KeyDirectory,
    declined_over,
    open_authorization,
)

_VERIFIED = (
    payment_pb2.CUSTOMER_VERIFICATION_DEVICE_PIN,
    payment_pb2.CUSTOMER_VERIFICATION_BIOMETRIC,
)


@dataclass(frozen=True, slots=True)
class BillSubmission:
    """What came in, and from which wallet's phone."""

    message: SettleBillRequest
    request_id: bytes
    wallet_id: str


@dataclass(frozen=True, slots=True)
class AgreedBill:
    """Authentic documents that agree. `refusal` is what is known against it all the same."""

    bill: Bill
    authorization: PaymentAuthorization
    signed_authorization: Signed
    payer: int
    payee: int
    payer_wallet: str
    payee_wallet: str
    refusal: DeclineReason.ValueType


def open_bill(
    submission: BillSubmission, directory: KeyDirectory, sealing_key: X25519PrivateKey
) -> AgreedBill:
    """Verify a submission from end to end; Declined with the first reason found."""
    bill, payee_key = _open_bill(submission, directory)
    with declined_over(bill.amount):
        return _open_answer(submission, bill, payee_key, directory, sealing_key)


def _open_answer(
    submission: BillSubmission,
    bill: Bill,
    payee_key: WalletKey,
    directory: KeyDirectory,
    sealing_key: X25519PrivateKey,
) -> AgreedBill:
    """Verify what answers a bill that holds."""
    payee = _open_payee(bill, sealing_key)
    message = submission.message
    bill_hash = hashlib.sha256(message.bill.payload).digest()
    authorization, signed, payer_key = open_authorization(
        message.sealed_authorization, bill_hash, directory, sealing_key
    )
    _require_submitter(bill, submission.wallet_id, payee_key.wallet_id, payer_key.wallet_id)
    differing = _difference(bill, bill_hash, authorization)
    if differing:
        raise Declined(d.DECLINE_REASON_AUTHORIZATION_MISMATCH, differing)
    try:
        payer = parse_digits(authorization.account_number)
    except AccountNumberError:
        raise Declined(d.DECLINE_REASON_PAYER_ACCOUNT_UNKNOWN) from None
    return AgreedBill(
        bill,
        authorization,
        signed,
        payer,
        payee,
        payer_key.wallet_id,
        payee_key.wallet_id,
        _refusal(authorization, payee_key, payer_key),
    )


def _open_bill(submission: BillSubmission, directory: KeyDirectory) -> tuple[Bill, WalletKey]:
    signed = submission.message.bill
    payee = directory.wallet_key(signed.key_id)
    if payee is None:
        raise Declined(d.DECLINE_REASON_PAYEE_WALLET_UNKNOWN, forged=True)
    try:
        bill = open_signed(signed, BILL, payee.public_key, Bill.FromString)
    except SignatureInvalid:
        raise Declined(d.DECLINE_REASON_BILL_SIGNATURE_INVALID, forged=True) from None
    except DocumentMalformed as error:
        raise Declined(d.DECLINE_REASON_BILL_MALFORMED, error.rule) from None
    if bill.amount.amount_minor <= 0:
        raise Declined(d.DECLINE_REASON_AMOUNT_NOT_POSITIVE)
    wrong = _wrong_field(bill, submission.request_id, payee.wallet_id)
    if wrong:
        raise Declined(d.DECLINE_REASON_BILL_MALFORMED, wrong)
    return bill, payee


def _wrong_field(bill: Bill, request_id: bytes, wallet_id: str) -> str:
    """The first field that breaks a rule of `bill.proto`; "" if none does."""
    if bill.request_id != request_id:
        return "request_id"
    return "wallet_id" if bill.wallet_id != wallet_id else wrong_bill_field(bill)


def _open_payee(bill: Bill, sealing_key: X25519PrivateKey) -> int:
    try:
        opened = unseal(bill.sealed_payee_account, sealing_key, payee_info(bill.request_id))
        return parse_digits(opened.decode("ascii"))
    except (SealBroken, UnicodeDecodeError, AccountNumberError):
        raise Declined(d.DECLINE_REASON_BILL_PAYEE_UNREADABLE) from None


def _require_submitter(bill: Bill, caller: str, payee: str, payer: str) -> None:
    by_payer = bill.submitter == bill_pb2.BILL_SUBMITTER_PAYER
    named = payer if by_payer else payee
    if caller == named:
        return
    if caller in (payer, payee):
        raise Declined(d.DECLINE_REASON_SUBMITTER_MISMATCH)
    raise Declined(d.DECLINE_REASON_WALLET_NOT_CALLER)


def _difference(bill: Bill, bill_hash: bytes, authorization: PaymentAuthorization) -> str:
    if authorization.request_hash != bill_hash:
        return "request_hash"
    if authorization.merchant_id:
        return "merchant_id"
    if authorization.terminal_id:
        return "terminal_id"
    if authorization.amount != bill.amount:
        return "amount"
    if authorization.ticket_holder_public_key:
        return "ticket_holder_public_key"
    if authorization.expire_time.ToMicroseconds() > bill.expire_time.ToMicroseconds():
        return "expire_time"
    return ""


def _refusal(
    authorization: PaymentAuthorization, payee: WalletKey, payer: WalletKey
) -> DeclineReason.ValueType:
    if payee.revoked:
        return d.DECLINE_REASON_PAYEE_WALLET_REVOKED
    if payer.revoked:
        return d.DECLINE_REASON_WALLET_REVOKED
    if authorization.customer_verification not in _VERIFIED:
        return d.DECLINE_REASON_CUSTOMER_NOT_VERIFIED
    return ACCEPTED
