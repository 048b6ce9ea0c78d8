"""Reading request fields: each check gives the value, or FIELD_INVALID naming the field.

Used by the servicers.
"""

from __future__ import annotations

from typing import TypeVar

from google.protobuf.message import Message

from kessai.account_number import AccountNumberError, parse_account
from kessai.currency import BY_CODE
from kessai.money import Money
from kessai.request_id import RequestIdError, parse_request_id
from kessai.time_range import bad_time
from kessai.v1 import money_pb2
from server.rpc.errors import field_invalid

Request = TypeVar("Request", bound=Message)


def times(request: Request) -> Request:
    """Give a request back in which every time is in range, at any depth."""
    wrong = bad_time(request)
    if wrong:
        raise field_invalid(wrong, "is no time from 1970-01-01 to 9999-12-31 in microseconds")
    return request


def request_id(text: str, field: str = "request_id") -> bytes:
    """Read a request id: the text of a UUIDv7."""
    try:
        return parse_request_id(text)
    except RequestIdError as error:
        raise field_invalid(field, str(error)) from None


def account(text: str, field: str = "account_number") -> int:
    """Read an account number of fourteen digits."""
    try:
        return parse_account(text)
    except AccountNumberError as error:
        raise field_invalid(field, str(error)) from None


def positive_money(message: money_pb2.Money, field: str = "amount") -> Money:
    """Read an amount of more than zero in a known currency."""
    currency(message.currency_code, f"{field}.currency_code")
    if message.amount_minor <= 0:
        raise field_invalid(f"{field}.amount_minor", "must be more than zero")
    return Money.from_proto(message)


def currency(code: str, field: str = "currency_code") -> int:
    """Read an ISO 4217 code; its number comes back."""
    if not code:
        raise field_invalid(field, "is missing: an ISO 4217 code, such as EUR")
    if code not in BY_CODE:
        raise field_invalid(field, f'"{code[:10]}" is not a currency of ISO 4217')
    return BY_CODE[code].number


def count(value: int, field: str) -> int:
    """Read a number that is not negative."""
    if value < 0:
        raise field_invalid(field, "must not be negative")
    return value


def page_size(value: int, default: int, limit: int) -> int:
    """Read a page size: 0 means the default."""
    if not 0 <= value <= limit:
        raise field_invalid("page_size", f"must be 0 to {limit}")
    return value or default
