"""One purchase, whole: the documents of the vectors fit together, as they do at a counter."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from kessai import envelope
from kessai.account_number import format_account, make_account
from kessai.envelope import raw_public_key
from kessai.request_id import new_request_id
from kessai.ticket import holder_key_hash, ticket_id_of
from kessai.v1 import decline_pb2, payment_pb2, ticket_pb2
from kessai.v1.money_pb2 import Money
from kessai.v1.ticket_pb2 import Ticket
from tests.vectors.keys import KEYS, secret

CREATED_MS = 1_767_268_800_000  # 2026-01-01T12:00:00Z


@dataclass(frozen=True)
class Case:
    """A document of the vectors, and who signs it."""

    name: str
    type: str
    key: str
    document: Message


def request_id() -> bytes:
    """Give the purchase's request id."""
    return new_request_id(CREATED_MS, lambda count: secret("request id")[:count])


def request_hash() -> bytes:
    """Give SHA-256 over the payload of the payment request."""
    payload = payment_request().SerializeToString(deterministic=True)
    return hashlib.sha256(payload).digest()


def payment_request(
    submitter: payment_pb2.PaymentSubmitter.ValueType = payment_pb2.PAYMENT_SUBMITTER_UNSPECIFIED,
) -> payment_pb2.PaymentRequest:
    """What the register asks for: two articles and a discount, 7.48 EUR."""
    line = payment_pb2.LineItem
    return payment_pb2.PaymentRequest(
        request_id=request_id(),
        merchant_id="corner-shop",
        terminal_id="register-1",
        order_id="2026-000017",
        items=[
            line(gtin="04012345678901", description="Milk 1 l", quantity=2, unit_price_minor=149),
            line(description="Bröd, rågbröd 決済", quantity=1, unit_price_minor=550),
            line(description="Discount", quantity=1, unit_price_minor=-100),
        ],
        total=euro(748),
        create_time=time_of(0),
        expire_time=time_of(120),
        submitter=submitter,
    )


def authorization() -> payment_pb2.PaymentAuthorization:
    """What the customer agrees to."""
    return payment_pb2.PaymentAuthorization(
        request_hash=request_hash(),
        merchant_id="corner-shop",
        terminal_id="register-1",
        amount=euro(748),
        account_number=format_account(make_account(1, 42)),
        customer_verification=payment_pb2.CUSTOMER_VERIFICATION_DEVICE_PIN,
        expire_time=time_of(120),
    )


def merchant_certificate(unverified_limit: Money | None = None) -> payment_pb2.MerchantCertificate:
    """Who asks."""
    return payment_pb2.MerchantCertificate(
        merchant_id="corner-shop",
        terminal_id="register-1",
        display_name="Corner Shop",
        category_code="5411",
        terminal_public_key=raw_public_key(KEYS["terminal"].public_key()),
        unverified_limit=unverified_limit,
        issue_time=time_of(-86_400),
        expire_time=time_of(29 * 86_400),
    )


def settled_receipt() -> payment_pb2.Receipt:
    """It was paid."""
    return payment_pb2.Receipt(
        request_id=request_id(),
        request_hash=request_hash(),
        outcome=payment_pb2.PAYMENT_OUTCOME_SETTLED,
        amount=euro(748),
        log_position=payment_pb2.LogPosition(
            shard=3, sequence=1_000_000, chain_hash=secret("chain")
        ),
        settle_time=time_of(9, 123_456_000),
    )


def declined_receipt() -> payment_pb2.Receipt:
    """It was not paid."""
    return payment_pb2.Receipt(
        request_id=request_id(),
        request_hash=request_hash(),
        outcome=payment_pb2.PAYMENT_OUTCOME_DECLINED,
        decline_reason=decline_pb2.DECLINE_REASON_AUTHORIZATION_MISMATCH,
        decline_detail="amount",
        amount=euro(748),
        settle_time=time_of(9),
    )


def ticket(
    kind: ticket_pb2.TicketKind.ValueType, admits: int, value: Money | None = None
) -> Ticket:
    """What it would have bought at a theatre's office: a ticket, or a gift certificate."""
    offer = ticket_pb2.TicketOffer(
        offer_id="stalls-5-12",
        merchant_id="corner-shop",
        event_id="spring-concert",
        event_name="Spring Concert",
        title="Row 5, seats 12 to 14",
        kind=kind,
        price=euro(748),
        valid_from_time=time_of(86_400),
        valid_until_time=time_of(2 * 86_400),
        admits=admits,
        value=value,
    )
    return Ticket(
        ticket_id=ticket_id_of(request_id(), 0),
        offer=offer,
        venue_name="Corner Shop",
        holder_key_hash=holder_key_hash(raw_public_key(KEYS["holder"].public_key())),
        issue_time=time_of(9, 123_456_000),
    )


def cases() -> dict[str, list[Case]]:
    """Give the documents by the vector file that they stand in; the first is the one damaged."""
    limit, direct = euro(500), payment_request(payment_pb2.PAYMENT_SUBMITTER_PHONE)
    request, agreed = envelope.PAYMENT_REQUEST, envelope.PAYMENT_AUTHORIZATION
    certificate, receipt = envelope.MERCHANT_CERTIFICATE, envelope.RECEIPT
    bought, gift = envelope.TICKET, ticket_pb2.TICKET_KIND_GIFT_CERTIFICATE
    return {
        "payment_request": [
            Case("three lines", request, "terminal", payment_request()),
            Case("the phone submits it", request, "terminal", direct),
        ],
        "authorization": [Case("by PIN", agreed, "phone", authorization())],
        "merchant_certificate": [
            Case("always verified", certificate, "switch", merchant_certificate()),
            Case("unverified to 5.00", certificate, "switch", merchant_certificate(limit)),
        ],
        "receipt": [
            Case("settled", receipt, "switch", settled_receipt()),
            Case("declined", receipt, "switch", declined_receipt()),
        ],
        "ticket": [
            Case("three seats", bought, "switch", ticket(ticket_pb2.TICKET_KIND_SEAT, 3)),
            Case("a gift certificate", bought, "switch", ticket(gift, 0, euro(5_000))),
        ],
    }


def euro(minor: int) -> Money:
    """Give an amount in euro."""
    return Money(amount_minor=minor, currency_code="EUR")


def time_of(seconds: int, nanos: int = 0) -> Timestamp:
    """Give a time, so many seconds after the purchase was asked for."""
    return Timestamp(seconds=CREATED_MS // 1000 + seconds, nanos=nanos)
