"""Receipts: which one a terminal believes, and how one is written into a QR code.

A terminal believes a receipt that the switch signed for its own pending request, and nothing else;
on it goods are handed over. Used by settlements, by the printed receipt and by `check-receipt`.
Source: mission row B1, design section 3.
"""

from __future__ import annotations

import base64

from edge_agents.payment_request import PendingPayment
from kessai.envelope import RECEIPT, EnvelopeError, PublicKey, open_signed
from kessai.receipt_text import MAX_QR_CHARACTERS as MAX_QR_CHARACTERS
from kessai.receipt_text import QR_PREFIX as QR_PREFIX
from kessai.receipt_text import read_receipt_text
from kessai.settlement_terms import fits_terms, is_outcome
from kessai.v1 import payment_pb2
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.payment_pb2 import Receipt


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
    try:
        return read_receipt_text(text)
    except ValueError as error:
        raise ReceiptRefused(str(error)) from None
