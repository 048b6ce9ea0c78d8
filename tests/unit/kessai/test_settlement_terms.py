"""Settlement terms: which requests make sense, and which receipts can have come of them."""

from __future__ import annotations

import pytest

from kessai.money import Money
from kessai.settlement_terms import MAX_HOLD_S, are_terms_known, fits_terms, is_outcome
from kessai.v1 import decline_pb2, payment_pb2
from kessai.v1.payment_pb2 import PaymentRequest, Receipt

SETTLED = payment_pb2.PAYMENT_OUTCOME_SETTLED
DECLINED = payment_pb2.PAYMENT_OUTCOME_DECLINED
HELD = payment_pb2.PAYMENT_OUTCOME_HELD
VOIDED = payment_pb2.PAYMENT_OUTCOME_VOIDED
EXPIRED = payment_pb2.PAYMENT_OUTCOME_EXPIRED
HOLD = payment_pb2.SETTLEMENT_TERMS_HOLD
REASON = decline_pb2.DECLINE_REASON_EXPIRED


def request_with(terms: int, hold_seconds: int = 0) -> PaymentRequest:
    """A request of 3.00 EUR."""
    total = Money(300, "EUR").to_proto()
    return PaymentRequest(terms=terms, hold_seconds=hold_seconds, total=total)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("terms", "seconds", "known"),
    [(0, 0, True), (0, 1, False), (HOLD, 0, False), (HOLD, -1, False), (HOLD, 1, True),
     (HOLD, MAX_HOLD_S, True), (HOLD, MAX_HOLD_S + 1, False), (99, 0, False), (99, 60, False)],
)  # fmt: skip
def test_terms(terms: int, seconds: int, known: bool) -> None:
    assert are_terms_known(request_with(terms, seconds)) is known


def test_nothing_that_stands_on_a_settlement_is_held() -> None:
    ride, ticket = request_with(HOLD, 60), request_with(HOLD, 60)
    ride.admission_id = bytes(16)
    ticket.ticket_orders.add()
    assert not are_terms_known(ride)
    assert not are_terms_known(ticket)


@pytest.mark.parametrize(
    ("outcome", "minor", "currency", "at_once", "held"),
    [
        (SETTLED, 300, "EUR", True, True),
        (SETTLED, 299, "EUR", False, True),
        (SETTLED, 301, "EUR", False, False),
        (SETTLED, 0, "EUR", False, False),
        (SETTLED, 300, "USD", False, False),
        (DECLINED, 300, "EUR", True, True),
        (DECLINED, 299, "EUR", False, False),
        (HELD, 300, "EUR", False, True),
        (HELD, 299, "EUR", False, False),
        (VOIDED, 300, "EUR", False, True),
        (EXPIRED, 300, "EUR", False, True),
        (EXPIRED, 1, "EUR", False, False),
        (99, 300, "EUR", False, False),
    ],
)
def test_receipts_fit_their_terms(
    outcome: int, minor: int, currency: str, at_once: bool, held: bool
) -> None:
    """Each outcome and amount, for a request that settles at once and for one that holds."""
    amount = Money(minor, currency).to_proto()
    receipt = Receipt(outcome=outcome, amount=amount)  # type: ignore[arg-type]
    assert fits_terms(receipt, request_with(0)) is at_once
    assert fits_terms(receipt, request_with(HOLD, 60)) is held


@pytest.mark.parametrize("logged", [False, True])
@pytest.mark.parametrize("outcome", [SETTLED, DECLINED, HELD, VOIDED, EXPIRED])
def test_only_a_decline_that_is_not_logged_has_no_amount(outcome: int, logged: bool) -> None:
    receipt = Receipt(outcome=outcome)  # type: ignore[arg-type]
    if logged:
        receipt.log_position.sequence = 1
    for request in (request_with(0), request_with(HOLD, 60)):
        assert fits_terms(receipt, request) is (outcome == DECLINED and not logged)


@pytest.mark.parametrize(
    ("outcome", "reason", "is_one"),
    [(SETTLED, 0, True), (HELD, 0, True), (VOIDED, 0, True), (EXPIRED, 0, True),
     (DECLINED, REASON, True), (DECLINED, 0, False), (SETTLED, REASON, False),
     (HELD, REASON, False), (0, 0, False), (99, 0, False)],
)  # fmt: skip
def test_an_outcome_has_a_reason_just_if_declined(outcome: int, reason: int, is_one: bool) -> None:
    receipt = Receipt(outcome=outcome, decline_reason=reason)  # type: ignore[arg-type]
    assert is_outcome(receipt) is is_one
