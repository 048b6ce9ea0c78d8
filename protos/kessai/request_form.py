"""The form of a payment request: the rules that its fields keep by themselves (`payment.proto`).

Used by the switch, which names the field at fault in its receipt.
"""

from __future__ import annotations

from kessai.currency import BY_CODE
from kessai.holder import CREDENTIAL_ID_BYTES
from kessai.settlement_terms import are_terms_known, settle_until_us
from kessai.v1 import payment_pb2
from kessai.v1.payment_pb2 import LineItem, PaymentRequest

LIFETIME_LIMIT_US = 120_000_000
DEFERRED_LIMIT_US = 7 * 24 * 3600 * 1_000_000
ITEMS_LIMIT = 200
QUANTITY_LIMIT = 9999
ADMISSION_ID_BYTES = 16


def wrong_field(request: PaymentRequest) -> str:
    """The first field that breaks a rule of `payment.proto`; "" if none does.

    Whose request it is, and that its total is positive, are rungs of their own.
    """
    create_us = request.create_time.ToMicroseconds()
    lifetime_us = request.expire_time.ToMicroseconds() - create_us
    deferred_us = settle_until_us(request) - create_us
    items_total = sum(item.quantity * item.unit_price_minor for item in request.items)
    rungs = (
        ("expire_time", 0 < lifetime_us <= LIFETIME_LIMIT_US),
        ("deferred_expire_time", lifetime_us <= deferred_us <= DEFERRED_LIMIT_US),
        ("order_id", 1 <= len(request.order_id) <= 40),
        ("admission_id", _is_fare_whole(request)),
        ("items", len(request.items) <= ITEMS_LIMIT),
        *((f"items[{place}]", _is_line(item)) for place, item in enumerate(request.items)),
        ("total.amount_minor", items_total == request.total.amount_minor),
        ("total.currency_code", request.total.currency_code in BY_CODE),
        ("submitter", request.submitter in payment_pb2.PaymentSubmitter.values()),
        ("terms", are_terms_known(request)),
    )
    return next((field for field, holds in rungs if not holds), "")


def _is_fare_whole(request: PaymentRequest) -> bool:
    """Whether it is a ride's fare, with its holder and no tickets, or says nothing of a ride."""
    lengths = (len(request.admission_id), len(request.admission_credential_id))
    if lengths == (0, 0):
        return True
    return lengths == (ADMISSION_ID_BYTES, CREDENTIAL_ID_BYTES) and not request.ticket_orders


def _is_line(item: LineItem) -> bool:
    gtin = item.gtin
    return (
        1 <= item.quantity <= QUANTITY_LIMIT
        and 1 <= len(item.description) <= 60
        and (not gtin or (len(gtin) == 14 and gtin.isascii() and gtin.isdigit()))
    )
