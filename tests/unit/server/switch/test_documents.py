"""Documents of a payment: every rung of the ladder, by good documents altered in one way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf.timestamp_pb2 import Timestamp

from kessai.account_number import format_account, pretty_account
from kessai.envelope import MAX_PAYLOAD_BYTES
from kessai.request_form import ITEMS_LIMIT
from kessai.request_id import parse_request_id
from kessai.v1 import decline_pb2 as d
from kessai.v1 import payment_pb2
from kessai.v1.decline_pb2 import DeclineReason
from kessai.v1.payment_pb2 import LineItem, SettlePaymentRequest
from server.domain.command import ACCEPTED
from server.domain.payment_history import expire_us_of
from server.switch.documents import Declined, Purchase, Submission, open_purchase
from tests.unit.server.domain.commands import MINUTE_US, NOW_US, fresh_id
from tests.unit.server.switch.counter import ANN, PHONE, TILL, Alterations, Counter

STRANGER_TILL = Ed25519PrivateKey.generate()
STRANGER_PHONE = ec.generate_private_key(ec.SECP256R1())
UNKNOWN_FIELD = b"\xf8\x07\x01"
BY_PHONE = payment_pb2.PAYMENT_SUBMITTER_PHONE
UNSPECIFIED = payment_pb2.CUSTOMER_VERIFICATION_UNSPECIFIED
NONE = payment_pb2.CUSTOMER_VERIFICATION_NONE
BIOMETRIC = payment_pb2.CUSTOMER_VERIFICATION_BIOMETRIC


@pytest.fixture
def counter(tmp_path: Path) -> Iterator[Counter]:
    """The parties."""
    counter = Counter(tmp_path)
    yield counter
    counter.directory.close()


def open_it(
    counter: Counter, message: SettlePaymentRequest, terminal: str = "till-1", wallet: str = ""
) -> Purchase:
    """Verify what a till sent over its line, or a wallet's phone over its own."""
    request_id = parse_request_id(message.request_id)
    submission = Submission(message, request_id, counter.merchant, terminal, wallet)
    return open_purchase(submission, counter.directory, counter.sealing_key)


def put(part: str, **values: object) -> Alterations:
    """Alter fields of one document before it is signed, sealed or sent."""

    def alter(document: object) -> None:
        for name, value in values.items():
            setattr(document, name, value)

    changes: dict[str, Any] = {part: alter}
    return Alterations(**changes)


def total(part: str, field: str, value: object) -> Alterations:
    """Alter the amount of a document."""
    amount = "total" if part == "request" else "amount"
    changes: dict[str, Any] = {
        part: lambda document: setattr(getattr(document, amount), field, value)
    }
    return Alterations(**changes)


def appended(part: str, data: bytes) -> Alterations:
    """Append bytes to a document, an unknown field for instance."""
    changes: dict[str, Any] = {part: lambda document: document.MergeFromString(data)}
    return Alterations(**changes)


def malformed(name: str) -> Alterations:
    """Alter the request in a way that no honest till would."""

    def alter(request: payment_pb2.PaymentRequest) -> None:
        match name:
            case "no items":
                del request.items[:]
            case "does not add up":
                request.items[0].unit_price_minor += 1
            case "a quantity of zero":
                request.items.append(LineItem(quantity=0, unit_price_minor=5))
            case "a negative quantity":
                request.items.append(LineItem(quantity=-1, unit_price_minor=-5))
                request.items.append(LineItem(quantity=1, unit_price_minor=-5))
            case "too many items":
                request.items.extend([LineItem(quantity=1)] * ITEMS_LIMIT)
            case "terms that nobody knows":
                request.terms = 99  # type: ignore[assignment]
            case "a hold without an end":
                request.terms = payment_pb2.SETTLEMENT_TERMS_HOLD
            case "an end without a hold":
                request.hold_seconds = 60
            case "lives too long":
                request.expire_time.FromMicroseconds(NOW_US + 2 * MINUTE_US + 1)
            case "ends before it begins":
                request.expire_time.FromMicroseconds(NOW_US)
            case "deferred less than it lasts":
                request.deferred_expire_time.FromMicroseconds(NOW_US + MINUTE_US - 1)
            case "deferred too long":
                request.deferred_expire_time.FromMicroseconds(NOW_US + WEEK_US + 1)
            case "no such currency":
                request.total.currency_code = "XXY"

    return Alterations(request=alter)


def of_another_year(request: payment_pb2.PaymentRequest) -> None:
    """A payment that may be deferred, with the id of 1970."""
    request.deferred_expire_time.FromMicroseconds(NOW_US + WEEK_US)
    request.request_id = bytes(6) + request.request_id[6:]


# What is odd -> the rule that the decline names.
_ODD_REQUESTS = {
    "no items": "total.amount_minor",
    "does not add up": "total.amount_minor",
    "a quantity of zero": "items[1]",
    "a negative quantity": "items[1]",
    "too many items": "items",
    "terms that nobody knows": "terms",
    "a hold without an end": "terms",
    "an end without a hold": "terms",
    "lives too long": "expire_time",
    "ends before it begins": "expire_time",
    "no such currency": "total.currency_code",
    "deferred less than it lasts": "deferred_expire_time",
    "deferred too long": "deferred_expire_time",
}
_RULES = {
    **_ODD_REQUESTS,
    "an order id on two lines": "order_id",
    "a line that turns the direction": "items[0]",
    "a deferred one with the id of another year": "request_id",
    "a time finer than a microsecond": "expire_time",
    "an unknown field": "encoding",
    "a submitter that nobody knows": "submitter",
    "another id within": "request_id",
    "a time out of range": "create_time",
    "too long": "payload",
    "garbage": "signed",
}
WEEK_US = 7 * 24 * 60 * MINUTE_US
_END = Timestamp()
_END.FromMicroseconds(NOW_US + MINUTE_US + 1)

# Reason -> what was altered -> how.
CASES: dict[str, dict[str, Alterations]] = {
    "REQUEST_SIGNATURE_INVALID": {
        "another till's key": Alterations(terminal_key=STRANGER_TILL),
        "altered": put("signed_request", payload=b"\0"),
        "of another type": put("signed_request", type="receipt"),
        "not signed": put("signed_request", signature=b""),
    },
    "REQUEST_MALFORMED": {
        "an unknown field": appended("request", UNKNOWN_FIELD),
        "a submitter that nobody knows": put("request", submitter=99),
        "another id within": put("request", request_id=fresh_id()),
        "a time out of range": Alterations(request=lambda r: setattr(r.create_time, "nanos", -1)),
        "too long": put("request", order_id="x" * MAX_PAYLOAD_BYTES),
        "an order id on two lines": put("request", order_id="1\nPAID"),
        "a line that turns the direction": Alterations(
            request=lambda r: setattr(r.items[0], "description", "\u202e00.1")
        ),
        "a deferred one with the id of another year": Alterations(request=of_another_year),
        "a time finer than a microsecond": Alterations(
            request=lambda r: setattr(r.expire_time, "nanos", r.expire_time.nanos + 1)
        ),
        **{name: malformed(name) for name in _ODD_REQUESTS},
    },
    "REQUEST_NOT_FROM_CALLER": {
        "another merchant's": put("request", merchant_id="other"),
        "another terminal's": put("request", terminal_id="till-2"),
    },
    "SUBMITTER_MISMATCH": {"the phone's to submit": put("request", submitter=BY_PHONE)},
    "AMOUNT_NOT_POSITIVE": {
        "nothing": total("request", "amount_minor", 0),
        "less than nothing": total("request", "amount_minor", -300),
    },
    "AUTHORIZATION_UNREADABLE": {
        "for another purchase": Alterations(info=bytes(32)),
        "damaged": put("sealed", ciphertext=bytes(100)),
        "to another key": put("sealed", key_id=bytes(16)),
        "not sealed at all": put("sealed", ciphertext=b""),
    },
    "AUTHORIZATION_SIGNATURE_INVALID": {
        "altered": put("signed_authorization", payload=b"\0"),
        "not signed": put("signed_authorization", signature=b""),
        "of another type": put("signed_authorization", type="payment-request"),
    },
    "AUTHORIZATION_MALFORMED": {
        "garbage": Alterations(opened=b"\xff\xff"),
        "an unknown field": appended("authorization", UNKNOWN_FIELD),
    },
    "AUTHORIZATION_MISMATCH": {
        "request_hash": put("authorization", request_hash=bytes(32)),
        "merchant_id": put("authorization", merchant_id="other"),
        "terminal_id": put("authorization", terminal_id="till-2"),
        "amount": total("authorization", "amount_minor", 299),
        "amount: currency": total("authorization", "currency_code", "JPY"),
        "expire_time": Alterations(authorization=lambda a: a.expire_time.CopyFrom(_END)),
        "ticket_holder_public_key": put("authorization", ticket_holder_public_key=bytes(65)),
    },
    "WALLET_UNKNOWN": {"a phone that nobody knows": Alterations(phone_key=STRANGER_PHONE)},
    "PAYER_ACCOUNT_UNKNOWN": {
        "wrong check digits": put("authorization", account_number="00010000004299"),
        "with hyphens": put("authorization", account_number=pretty_account(ANN)),
    },
}


def test_a_deferred_payment_may_be_settled_later(counter: Counter) -> None:
    """Until the request's later end, and not after; without one, its own end counts."""

    def defer(request: payment_pb2.PaymentRequest) -> None:
        request.deferred_expire_time.FromMicroseconds(NOW_US + WEEK_US)

    def until(after_us: int) -> Alterations:
        def amend(authorization: payment_pb2.PaymentAuthorization) -> None:
            authorization.expire_time.FromMicroseconds(NOW_US + after_us)

        return Alterations(request=defer, authorization=amend)

    purchase = open_it(counter, counter.pay(altered=until(WEEK_US)))
    assert expire_us_of(purchase.request, purchase.authorization) == NOW_US + WEEK_US
    with pytest.raises(Declined) as declined:
        open_it(counter, counter.pay(altered=until(WEEK_US + 1)))
    assert declined.value.detail == "expire_time"


def test_good_documents_are_good(counter: Counter) -> None:
    purchase = open_it(counter, counter.pay())
    assert (purchase.payer, purchase.wallet_id, purchase.refusal) == (ANN, "ann", ACCEPTED)
    assert purchase.authorization.account_number == format_account(ANN)


@pytest.mark.parametrize(
    ("reason", "what"), [(reason, what) for reason, cases in CASES.items() for what in cases]
)
def test_altered_documents_are_declined(counter: Counter, reason: str, what: str) -> None:
    """With that reason, and the field that differs or the rule that is broken."""
    with pytest.raises(Declined) as declined:
        open_it(counter, counter.pay(altered=CASES[reason][what]))
    assert DeclineReason.Name(declined.value.reason) == f"DECLINE_REASON_{reason}"
    told = {"AUTHORIZATION_MISMATCH": what.partition(":")[0]}
    if reason.endswith("_MALFORMED"):
        told[reason] = _RULES[what]
    assert declined.value.detail == told.get(reason, "")


def test_as_many_lines_of_as_many_letters_as_are_allowed(counter: Counter) -> None:
    """200 lines of 60 characters of four bytes each."""
    line = LineItem(description="\U0001f950" * 60, gtin="09506000134352", quantity=1)

    def fill(request: payment_pb2.PaymentRequest) -> None:
        request.items.extend([line] * (ITEMS_LIMIT - 1))

    assert len(open_it(counter, counter.pay(altered=Alterations(fill))).request.items) == 200


def test_a_phone_submits_what_says_so(counter: Counter) -> None:
    """Its own wallet's authorisation, and no other's; nothing that a till is to relay."""
    direct = counter.pay(altered=put("request", submitter=BY_PHONE))
    assert open_it(counter, direct, wallet="ann").wallet_id == "ann"
    with pytest.raises(Declined, match="WALLET_NOT_CALLER"):
        open_it(counter, direct, wallet="bob")
    with pytest.raises(Declined, match="SUBMITTER_MISMATCH"):
        open_it(counter, counter.pay(), wallet="ann")


def test_another_tills_line_carries_no_documents_of_this_one(counter: Counter) -> None:
    with pytest.raises(Declined, match="REQUEST_SIGNATURE_INVALID"):
        open_it(counter, counter.pay(), terminal="till-2")


def test_a_revoked_till_signs_nothing(counter: Counter) -> None:
    counter.directory.revoke(TILL, NOW_US)
    with pytest.raises(Declined, match="REQUEST_SIGNATURE_INVALID"):
        open_it(counter, counter.pay())


def test_a_revoked_phone_is_known_and_refused(counter: Counter) -> None:
    """It is kept in the log that it tried."""
    counter.directory.revoke(PHONE, NOW_US)
    assert open_it(counter, counter.pay()).refusal == d.DECLINE_REASON_WALLET_REVOKED


@pytest.mark.parametrize(
    ("verification", "minor", "currency", "good"),
    [
        (BIOMETRIC, 10_000, "EUR", True),
        (NONE, 500, "EUR", True),
        (NONE, 501, "EUR", False),
        (NONE, 500, "JPY", False),
        (UNSPECIFIED, 1, "EUR", False),
        (99, 1, "EUR", False),
    ],
)
def test_the_customer_is_verified_as_the_merchant_demands(
    counter: Counter, verification: int, minor: int, currency: str, good: bool
) -> None:
    """Nobody need be verified up to the merchant's limit, in its currency."""

    def alter(authorization: payment_pb2.PaymentAuthorization) -> None:
        authorization.customer_verification = verification  # type: ignore[assignment]

    altered = Alterations(
        request=lambda r: setattr(r.total, "currency_code", currency), authorization=alter
    )
    refusal = open_it(counter, counter.pay(minor, altered=altered)).refusal
    assert refusal == (ACCEPTED if good else d.DECLINE_REASON_CUSTOMER_NOT_VERIFIED)


def test_every_reason_of_the_documents_has_a_case() -> None:
    """Numbers 1 to 19 are the documents'; some stand above, others have their own test."""
    reasons = {
        name
        for name, value in DeclineReason.items()
        if 1 <= value <= 19 and not name.startswith("DECLINE_REASON_BILL_")
    }
    tested = {
        f"DECLINE_REASON_{reason}" for reason in (*CASES, "CUSTOMER_NOT_VERIFIED", "SWITCH_FAULT")
    }
    assert reasons <= tested
