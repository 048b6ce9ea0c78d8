"""The form of a payment request: the rules that its fields keep by themselves (`payment.proto`).

One ladder for both ends: the switch names the field at fault in its receipt, a phone does not show
the request to its customer, and whoever writes a terminal sees here what both hold it to.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from kessai.currency import BY_CODE
from kessai.holder import CREDENTIAL_ID_BYTES
from kessai.plain_text import is_plain
from kessai.request_id import RequestIdError, check_request_id, time_of
from kessai.settlement_terms import are_terms_known, settle_until_us
from kessai.v1 import payment_pb2
from kessai.v1.payment_pb2 import LineItem, PaymentRequest

LIFETIME_LIMIT_US = 120_000_000
DEFERRED_LIMIT_US = 7 * 24 * 3600 * 1_000_000
# How far the time in the id of a request that may be deferred is from its create_time, at most.
ID_LIMIT_MS = 120_000
ITEMS_LIMIT = 200
QUANTITY_LIMIT = 9999
ADMISSION_ID_BYTES = 16
ORDER_ID_CHARACTERS, DESCRIPTION_CHARACTERS = 40, 60

_GTIN = re.compile("([0-9]{14})?")


def wrong_field(request: PaymentRequest) -> str:
    """The first field that breaks a rule of `payment.proto`; "" if none does.

    Whose request it is, and that its total is positive, are rungs of their own.
    """
    rungs = (
        ("order_id", is_plain(request.order_id, ORDER_ID_CHARACTERS)),
        ("admission_id", _is_fare_whole(request)),
        ("terms", are_terms_known(request)),
    )
    return wrong_terms(request) or _first(rungs)


def wrong_terms(request: PaymentRequest) -> str:
    """The same of what a request and a bill have in common: id, times, lines, total, submitter."""
    create_us = request.create_time.ToMicroseconds()
    lifetime_us = request.expire_time.ToMicroseconds() - create_us
    deferred_us = settle_until_us(request) - create_us
    items_total = sum(item.quantity * item.unit_price_minor for item in request.items)
    return _first(
        (
            ("request_id", is_id_of_its_time(request)),
            ("expire_time", 0 < lifetime_us <= LIFETIME_LIMIT_US),
            ("deferred_expire_time", lifetime_us <= deferred_us <= DEFERRED_LIMIT_US),
            ("items", len(request.items) <= ITEMS_LIMIT),
            *((f"items[{place}]", _is_line(item)) for place, item in enumerate(request.items)),
            ("total.amount_minor", items_total == request.total.amount_minor),
            ("total.currency_code", request.total.currency_code in BY_CODE),
            ("submitter", request.submitter in payment_pb2.PaymentSubmitter.values()),
        )
    )


def is_id_of_its_time(request: PaymentRequest) -> bool:
    """Whether the id is a UUIDv7; of one that may be deferred, with the time of the request.

    Any other must be young when the switch first sees it. A deferred one comes late, and its id
    says when the logs are asked for it.
    """
    try:
        made_ms = time_of(check_request_id(request.request_id))
    except RequestIdError:
        return False
    create_ms = request.create_time.ToMilliseconds()
    is_deferred = request.HasField("deferred_expire_time")
    return not is_deferred or abs(made_ms - create_ms) <= ID_LIMIT_MS


def _is_fare_whole(request: PaymentRequest) -> bool:
    """Whether it is a ride's fare, with its holder and no tickets, or says nothing of a ride."""
    lengths = (len(request.admission_id), len(request.admission_credential_id))
    if lengths == (0, 0):
        return True
    return lengths == (ADMISSION_ID_BYTES, CREDENTIAL_ID_BYTES) and not request.ticket_orders


def _is_line(item: LineItem) -> bool:
    return (
        1 <= item.quantity <= QUANTITY_LIMIT
        and is_plain(item.description, DESCRIPTION_CHARACTERS)
        and _GTIN.fullmatch(item.gtin) is not None
    )


def _first(rungs: Iterable[tuple[str, bool]]) -> str:
    return next((field for field, holds in rungs if not holds), "")
