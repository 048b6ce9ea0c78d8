"""A bill's form, and the seal of the account in it: the same for both phones and the switch."""

from __future__ import annotations

import hashlib

from kessai.currency import BY_CODE
from kessai.plain_text import is_plain
from kessai.request_form import DESCRIPTION_CHARACTERS, LIFETIME_LIMIT_US
from kessai.request_id import RequestIdError, check_request_id
from kessai.v1 import bill_pb2
from kessai.v1.bill_pb2 import Bill

_CONTEXT = b"kessai/bill-payee/v1\0"


def payee_info(request_id: bytes) -> bytes:
    """Give the HPKE info of the account in a bill, 32 bytes: it opens for this bill only."""
    return hashlib.sha256(_CONTEXT + request_id).digest()


def wrong_bill_field(bill: Bill) -> str:
    """The first field that breaks a rule of `bill.proto` by itself; "" if none does.

    Whose bill it is, and that its amount is positive, are rungs of their own.
    """
    lifetime_us = bill.expire_time.ToMicroseconds() - bill.create_time.ToMicroseconds()
    rungs = (
        ("request_id", _is_request_id(bill.request_id)),
        ("description", is_plain(bill.description, DESCRIPTION_CHARACTERS)),
        ("amount.currency_code", bill.amount.currency_code in BY_CODE),
        ("expire_time", 0 < lifetime_us <= LIFETIME_LIMIT_US),
        ("submitter", bill.submitter in bill_pb2.BillSubmitter.values()),
    )
    return next((field for field, holds in rungs if not holds), "")


def _is_request_id(raw: bytes) -> bool:
    try:
        check_request_id(raw)
    except RequestIdError:
        return False
    return True
