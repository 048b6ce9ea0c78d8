"""Receipts: which one a terminal believes, and how one is written into a QR code.

A terminal believes a receipt that the switch signed for its own pending request, and nothing else;
on it goods are handed over. Used by settlements, by the printed receipt and by `check-receipt`.
Source: mission row B1, design section 3.
"""

from __future__ import annotations

import base64
import binascii

from google.protobuf.message import DecodeError

from edge_agents.payment_request import PendingPayment
from kessai.envelope import RECEIPT, EnvelopeError, PublicKey, open_signed
from kessai.settlement_terms import fits_terms, is_outcome
from kessai.v1 import payment_pb2
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.payment_pb2 import Receipt

QR_PREFIX = "kessai:receipt:"
MAX_QR_CHARACTERS = 4_000


class ReceiptRefused(Exception):
    """A receipt that tells nothing about this payment; the message says why."""


def open_receipt(signed: Signed, switch_key: PublicKey) -> Receipt:
    """Verify that the switch signed a receipt; ReceiptRefused if not, or if it is no outcome."""
    try:
        receipt = open_signed(signed, RECEIPT, switch_key, Receipt.FromString)
    except EnvelopeError as error:
        raise ReceiptRefused(f"the switch did not sign it: {error}") from None
    if not is_outcome(receipt):
        raise ReceiptRefused("it says neither paid nor why not")
    return receipt


def verify_receipt(signed: Signed, pending: PendingPayment, switch_key: PublicKey) -> Receipt:
    """Verify a receipt against our own pending request; ReceiptRefused if it is for another."""
    receipt = open_receipt(signed, switch_key)
    if receipt.request_id != pending.request_id:
        raise ReceiptRefused("it is for another payment")
    if receipt.request_hash != pending.request_hash:
        raise ReceiptRefused("it is for another request under the same id")
    if not fits_terms(receipt, pending.request):
        raise ReceiptRefused("it is for another amount, or for other terms")
    return receipt


def is_settled(receipt: Receipt) -> bool:
    """Tell whether a verified receipt says paid."""
    return receipt.outcome == payment_pb2.PAYMENT_OUTCOME_SETTLED


def is_held(receipt: Receipt) -> bool:
    """Tell whether a verified receipt says that the money is held and nothing is final yet."""
    return receipt.outcome == payment_pb2.PAYMENT_OUTCOME_HELD


def encode_qr(signed: Signed) -> str:
    """Write a signed receipt as the text of its QR code."""
    text = base64.urlsafe_b64encode(signed.SerializeToString(deterministic=True)).decode()
    return QR_PREFIX + text.rstrip("=")


def decode_qr(text: str) -> Signed:
    """Read the text of a receipt's QR code; ReceiptRefused if it is none."""
    text = text.strip()
    if not text.startswith(QR_PREFIX) or len(text) > MAX_QR_CHARACTERS or not text.isascii():
        raise ReceiptRefused(f'the text of a receipt begins with "{QR_PREFIX}"')
    body = text.removeprefix(QR_PREFIX)
    try:
        raw = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
        return Signed.FromString(raw)
    except (binascii.Error, DecodeError):
        raise ReceiptRefused("the text was damaged, or cut off") from None
