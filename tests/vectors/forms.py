"""Documents that are well signed and well encoded, and still break a rule of their fields."""

from __future__ import annotations

from collections.abc import Callable

from kessai.v1.bill_pb2 import Bill
from kessai.v1.payment_pb2 import (
    SETTLEMENT_TERMS_HOLD,
    LineItem,
    PaymentRequest,
)
from tests.vectors.bill import bill
from tests.vectors.keys import secret
from tests.vectors.purchase import CREATED_MS, payment_request, time_of

# Each is refused wherever a person reads it.
ODD_TEXTS = {
    "nothing": "",
    "blanks alone": "   ",
    "a blank at its start": " Bread",
    "a blank at its end": "Bread ",
    "a line break": "Bread\nPaid: 0.00",
    "a tab": "Bread\tMilk",
    "an escape sequence": "Bread\x1b[2J",
    "a NUL": "Bread\x00",
    "a control character of Latin-1": "Bread\x9b2J",
    "a mark that turns the direction": "Bread\u202e00.1",
    "an isolate of another direction": "\u2067Bread\u2069",
    "a character without width": "Br\u200bead",
    "a byte order mark": "\ufeffBread",
    "a no-break space": "Bread\u00a0Milk",
    "a line separator": "Bread\u2028Milk",
    "a private character": "Bread\ue000",
    "not in NFC": "Bro\u0308d",
}
GOOD_TEXTS = ("B", "Bröd, rågbröd 決済", "Brot & Butter 1/2", "🍞 bread", "لبن", "x" * 40)

Change = Callable[[PaymentRequest], object]


def malformed_requests() -> dict[str, tuple[str, PaymentRequest]]:
    """Payment requests by what is wrong, with the field that is at fault."""
    found: dict[str, tuple[str, PaymentRequest]] = {}
    for name, text in ODD_TEXTS.items():
        found[f"order_id: {name}"] = ("order_id", _with(_set("order_id", text)))
        found[f"description: {name}"] = ("items[1]", _with(_line("description", text)))
    for name, (field, change) in _RULES.items():
        found[name] = (field, _with(change))
    return found


def malformed_bills() -> dict[str, tuple[str, Bill]]:
    """Bills by what is wrong, with the field that is at fault."""
    found = {}
    for name, text in (ODD_TEXTS | {"61 characters": "x" * 61}).items():
        made = bill()
        made.description = text
        found[f"description: {name}"] = ("description", made)
    return found


def _with(change: Change) -> PaymentRequest:
    request = payment_request()
    change(request)
    return request


def _set(field: str, value: object) -> Change:
    return lambda request: setattr(request, field, value)


def _line(field: str, value: object) -> Change:
    return lambda request: setattr(request.items[1], field, value)


def _defer(seconds: int, id_s: int = 0) -> Change:
    def change(request: PaymentRequest) -> None:
        request.deferred_expire_time.CopyFrom(time_of(seconds))
        made_ms = CREATED_MS + id_s * 1000
        request.request_id = made_ms.to_bytes(6, "big") + request.request_id[6:]

    return change


def _expire(seconds: int, nanos: int = 0) -> Change:
    return lambda request: request.expire_time.CopyFrom(time_of(seconds, nanos))


def _ride(admission: int, credential: int) -> Change:
    def change(request: PaymentRequest) -> None:
        request.admission_id = secret("ride")[:admission]
        request.admission_credential_id = secret("credential")[:credential]

    return change


def _hold(seconds: int) -> Change:
    def change(request: PaymentRequest) -> None:
        request.terms, request.hold_seconds = SETTLEMENT_TERMS_HOLD, seconds

    return change


def _lines(count: int) -> Change:
    def change(request: PaymentRequest) -> None:
        del request.items[:]
        request.items.extend(
            LineItem(description="Bread", quantity=1, unit_price_minor=1) for _ in range(count)
        )
        request.total.amount_minor = count

    return change


_DAY_S = 86_400
_RULES: dict[str, tuple[str, Change]] = {
    "order_id: 41 characters": ("order_id", _set("order_id", "x" * 41)),
    "description: 61 characters": ("items[1]", _line("description", "x" * 61)),
    "request_id: version 4": ("request_id", _set("request_id", bytes([0x40] * 16))),
    "request_id: 15 bytes": ("request_id", _set("request_id", bytes(15))),
    "request_id of a deferred one: a year old": ("request_id", _defer(_DAY_S, -365 * _DAY_S)),
    "request_id of a deferred one: a year ahead": ("request_id", _defer(_DAY_S, 365 * _DAY_S)),
    "request_id of a deferred one: 121 s old": ("request_id", _defer(_DAY_S, -121)),
    "expire_time: when it was made": ("expire_time", _expire(0)),
    "expire_time: 120.000001 s later": ("expire_time", _expire(120, 1000)),
    "deferred_expire_time: before expire_time": ("deferred_expire_time", _defer(119)),
    "deferred_expire_time: 7 days and 1 s later": ("deferred_expire_time", _defer(7 * _DAY_S + 1)),
    "quantity: none": ("items[1]", _line("quantity", 0)),
    "quantity: 10,000": ("items[1]", _line("quantity", 10_000)),
    "gtin: 13 digits": ("items[1]", _line("gtin", "0" * 13)),
    "gtin: digits of another script": ("items[1]", _line("gtin", "٠" * 14)),
    "items: 201": ("items", _lines(201)),
    "items: they add up to something else": (
        "total.amount_minor",
        _line("unit_price_minor", 551),
    ),
    "submitter: of no meaning": ("submitter", _set("submitter", 7)),
    "terms: of no meaning": ("terms", _set("terms", 7)),
    "hold_seconds: none with HOLD": ("terms", _hold(0)),
    "hold_seconds: 86,401": ("terms", _hold(86_401)),
    "hold_seconds: without HOLD": ("terms", _set("hold_seconds", 1)),
    "admission_id: without its credential": ("admission_id", _ride(16, 0)),
    "admission_credential_id: without admission": ("admission_id", _ride(0, 16)),
    "admission_id: 15 bytes": ("admission_id", _ride(15, 16)),
    "admission_credential_id: 17 bytes": ("admission_id", _ride(16, 17)),
}
