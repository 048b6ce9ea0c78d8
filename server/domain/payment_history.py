"""Payments and bills out of the settlement log, and what of their documents a row must agree with.

All other kinds of rows are read in `history.py`.
"""

from __future__ import annotations

import hashlib
from typing import Any

from kessai.account_number import parse_account
from kessai.envelope import read_verified
from kessai.settlement_terms import is_held_first, settle_until_us
from kessai.v1.bill_pb2 import Bill, BillEvidence
from kessai.v1.payment_pb2 import PaymentAuthorization, PaymentEvidence, PaymentRequest
from server.domain.bill import SettleBill
from server.domain.fare import SettleFare
from server.domain.hold import PlaceHold
from server.domain.operator_history import Parts, check, money_of
from server.domain.payment import AgreedPayment, SettlePayment


def payment_input_hash(request_payload: bytes, authorization_payload: bytes) -> bytes:
    """Hash what a payment says: both documents, without their signatures."""
    return hashlib.sha256(
        hashlib.sha256(request_payload).digest() + hashlib.sha256(authorization_payload).digest()
    ).digest()


def expire_us_of(request: PaymentRequest, authorization: PaymentAuthorization) -> int:
    """Tell from when on a payment cannot be settled any more, microseconds since 1970."""
    return min(settle_until_us(request), authorization.expire_time.ToMicroseconds())


def read_payment(
    make: type[SettlePayment | SettleFare | PlaceHold], *parts: *Parts
) -> SettlePayment | SettleFare | PlaceHold:
    """Make a payment of a kind out of its row."""
    request_id, input_hash, payer, _, amount, ledger, body = parts
    evidence = PaymentEvidence.FromString(body)
    payloads = (evidence.payment_request.payload, evidence.authorization.payload)
    check(payment_input_hash(*payloads), input_hash)
    request = read_verified(evidence.payment_request, PaymentRequest)
    authorization = read_verified(evidence.authorization, PaymentAuthorization)
    account = parse_account(authorization.account_number)
    check(
        (request.request_id, account, *money_of(request.total)),
        (request_id, payer, amount, ledger),
    )
    check(is_held_first(request), make is PlaceHold)
    agreed = (
        evidence.wallet_id,
        request.create_time.ToMicroseconds(),
        expire_us_of(request, authorization),
        evidence.refusal,
        request.admission_id,
    )
    return make(*parts, *agreed, *own_fields(make, request))


def own_fields(make: type[AgreedPayment], request: PaymentRequest) -> tuple[Any, ...]:
    """What a kind of payment has beside the fields of all: the carrier, or for how long."""
    if make is SettleFare:
        return (request.merchant_id,)
    return (request.hold_seconds,) if make is PlaceHold else ()


def kind_of(request: PaymentRequest) -> type[SettlePayment | SettleFare | PlaceHold]:
    """Which command settles a request."""
    if is_held_first(request):
        return PlaceHold
    return SettleFare if request.admission_id else SettlePayment


def read_bill(*parts: *Parts) -> SettleBill:
    """Make a bill out of its row."""
    request_id, input_hash, payer, payee, amount, ledger, body = parts
    evidence = BillEvidence.FromString(body)
    payloads = (evidence.bill.payload, evidence.authorization.payload)
    check(payment_input_hash(*payloads), input_hash)
    bill = read_verified(evidence.bill, Bill)
    authorization = read_verified(evidence.authorization, PaymentAuthorization)
    accounts = map(parse_account, (authorization.account_number, evidence.payee_account))
    check(
        (bill.request_id, *accounts, *money_of(bill.amount)),
        (request_id, payer, payee, amount, ledger),
    )
    return SettleBill(
        *parts,
        wallet=evidence.payer_wallet_id,
        create_us=bill.create_time.ToMicroseconds(),
        expire_us=authorization.expire_time.ToMicroseconds(),
        refusal=evidence.refusal,
    )
