"""What a terminal asks for and a customer agrees to under load: one pen and two cups of tea.

Used by `payments.py`, which sends them over the wire, and `settlements.py`, which brings them to
the shards.
"""

from __future__ import annotations

import hashlib
import os
import time

from kessai.account_number import format_account
from kessai.money import Money
from kessai.request_id import new_request_id
from kessai.v1 import payment_pb2
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.payment_pb2 import LineItem, PaymentAuthorization, PaymentRequest
from simulators.load.books import CURRENCY

# A payment must reach the switch within this time after it was prepared.
LIFETIME_US = 120_000_000

DEAREST_MINOR = 2000

_TEA = 199


def ask(merchant_id: str, terminal_id: str, price_minor: int) -> PaymentRequest:
    """Ask, now, for the price of a pen and twice the price of tea."""
    now_us = time.time_ns() // 1000
    request_id = new_request_id(now_us // 1000, os.urandom)
    request = PaymentRequest(
        request_id=request_id,
        merchant_id=merchant_id,
        terminal_id=terminal_id,
        order_id=request_id.hex(),
        items=[
            LineItem(
                gtin="04006381333931", description="Pen", quantity=1, unit_price_minor=price_minor
            ),
            LineItem(gtin="04012345678901", description="Tea", quantity=2, unit_price_minor=_TEA),
        ],
        total=Money(price_minor + 2 * _TEA, CURRENCY).to_proto(),
    )
    request.create_time.FromMicroseconds(now_us)
    request.expire_time.FromMicroseconds(now_us + LIFETIME_US)
    return request


def agree(request: PaymentRequest, signed_request: Signed, account: int) -> PaymentAuthorization:
    """Agree, with a PIN, to pay what was asked for from an account."""
    return PaymentAuthorization(
        request_hash=hashlib.sha256(signed_request.payload).digest(),
        merchant_id=request.merchant_id,
        terminal_id=request.terminal_id,
        amount=request.total,
        account_number=format_account(account),
        customer_verification=payment_pb2.CUSTOMER_VERIFICATION_DEVICE_PIN,
        expire_time=request.expire_time,
    )
