"""Payments that are held first, on the phone: which receipts follow which, and which terms (B3)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kessai.v1 import payment_pb2
from kessai.v1.payment_pb2 import PaymentRequest, Receipt
from simulators.phone.screen import View
from tests.unit.simulators.phone.conftest import PocketMaker
from tests.unit.simulators.phone.counter import Counter, status_of


def test_a_hold_is_shown_and_then_its_end(counter: Counter, make_pocket: PocketMaker) -> None:
    """Reserved, then paid; the end stays, whatever a terminal delivers after it."""
    pocket = make_pocket()

    def hold(request: PaymentRequest) -> None:
        request.terms, request.hold_seconds = payment_pb2.SETTLEMENT_TERMS_HOLD, 60

    def ended(outcome: int, minor: int = 500) -> Callable[[Receipt], None]:
        def change(receipt: Receipt) -> None:
            receipt.outcome = outcome  # type: ignore[assignment]
            receipt.amount.amount_minor = minor

        return change

    request = counter.request(hold)
    pocket.wallet.answer(counter.present(request))

    def deliver(outcome: int, minor: int = 500) -> str:
        receipt = counter.receipt(request, ended(outcome, minor))
        return status_of(pocket.wallet.answer(counter.deliver(receipt)))

    held, settled = payment_pb2.PAYMENT_OUTCOME_HELD, payment_pb2.PAYMENT_OUTCOME_SETTLED
    voided, expired = payment_pb2.PAYMENT_OUTCOME_VOIDED, payment_pb2.PAYMENT_OUTCOME_EXPIRED
    assert deliver(held, 499) == "RECEIPT_REFUSED"
    assert deliver(held) == "RECEIPT_ACCEPTED"
    assert pocket.pages[-1].view is View.HELD
    assert deliver(settled, 501) == "RECEIPT_REFUSED"
    assert deliver(settled, 450) == "RECEIPT_ACCEPTED"
    assert (pocket.pages[-1].view, pocket.pages[-1].total) == (View.PAID, "4.50 EUR")
    for other in (held, voided, expired, settled):
        assert deliver(other) == "RECEIPT_REFUSED"
    assert deliver(settled, 450) == "RECEIPT_ACCEPTED"


@pytest.mark.parametrize("outcome", ["HELD", "VOIDED", "EXPIRED"])
def test_what_was_to_be_settled_at_once_is_not_held(
    counter: Counter, make_pocket: PocketMaker, outcome: str
) -> None:
    """A receipt must fit the terms that the customer saw."""
    pocket, request = make_pocket(), counter.request()
    pocket.wallet.answer(counter.present(request))

    def change(receipt: Receipt) -> None:
        receipt.outcome = payment_pb2.PaymentOutcome.Value(f"PAYMENT_OUTCOME_{outcome}")

    receipt = counter.deliver(counter.receipt(request, change))
    assert status_of(pocket.wallet.answer(receipt)) == "RECEIPT_REFUSED"


def test_terms_that_the_phone_does_not_know_are_refused(
    counter: Counter, make_pocket: PocketMaker
) -> None:
    """The customer is not asked: a hold without an end, or one that is longer than a day."""
    for seconds in (0, 86_401):
        pocket = make_pocket()

        def hold(request: PaymentRequest, seconds: int = seconds) -> None:
            request.terms = payment_pb2.SETTLEMENT_TERMS_HOLD
            request.hold_seconds = seconds

        answer = pocket.wallet.answer(counter.present(counter.request(hold)))
        assert status_of(answer) == "REQUEST_REFUSED"
        assert [page.view for page in pocket.pages] == [View.REFUSED]
