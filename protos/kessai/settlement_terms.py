"""Settlement terms: when the money of a payment moves, and which receipts can come of it.

Used by the switch, which keeps to them, and by terminals and phones, which believe no receipt that
does not fit its request (`kessai/v1/payment.proto`).
"""

from __future__ import annotations

from kessai.v1 import decline_pb2, payment_pb2
from kessai.v1.money_pb2 import Money
from kessai.v1.payment_pb2 import PaymentRequest, Receipt

MAX_HOLD_S = 86_400

_AT_ONCE = payment_pb2.SETTLEMENT_TERMS_UNSPECIFIED
_HOLD = payment_pb2.SETTLEMENT_TERMS_HOLD
_SETTLED = payment_pb2.PAYMENT_OUTCOME_SETTLED
_DECLINED = payment_pb2.PAYMENT_OUTCOME_DECLINED
_OUTCOMES = {
    _AT_ONCE: {_SETTLED, _DECLINED},
    _HOLD: {
        _SETTLED,
        _DECLINED,
        payment_pb2.PAYMENT_OUTCOME_HELD,
        payment_pb2.PAYMENT_OUTCOME_VOIDED,
        payment_pb2.PAYMENT_OUTCOME_EXPIRED,
    },
}


def are_terms_known(request: PaymentRequest) -> bool:
    """Tell whether a request's terms are ones that we know, with a time that they allow."""
    if request.terms == _HOLD:
        # A ticket and a ride stand on a settlement, not on a hold.
        stands_on_it = request.ticket_orders or request.admission_id
        return 1 <= request.hold_seconds <= MAX_HOLD_S and not stands_on_it
    return request.terms == _AT_ONCE and request.hold_seconds == 0


def is_held_first(request: PaymentRequest) -> bool:
    """Tell whether the money of a request is held before it moves."""
    return request.terms == _HOLD


def settle_until_us(request: PaymentRequest) -> int:
    """Tell until when a request may be settled: longer if its terminal may accept it off line."""
    has_deferred = request.HasField("deferred_expire_time")
    until = request.deferred_expire_time if has_deferred else request.expire_time
    return until.ToMicroseconds()


def is_outcome(receipt: Receipt) -> bool:
    """Tell whether a receipt says what became of a payment: with a reason just if declined."""
    has_reason = receipt.decline_reason != decline_pb2.DECLINE_REASON_UNSPECIFIED
    return receipt.outcome in _OUTCOMES[_HOLD] and has_reason == (receipt.outcome == _DECLINED)


def fits_terms(receipt: Receipt, request: PaymentRequest) -> bool:
    """Tell whether outcome and amount of a receipt can have come of a request.

    The amount is the request's total; captured of a hold, anything up to it; see `is_amount`.
    """
    if receipt.outcome not in _OUTCOMES.get(request.terms, ()):
        return False
    if request.terms == _HOLD and receipt.outcome == _SETTLED:
        taken, held = receipt.amount, request.total
        return (
            taken.currency_code == held.currency_code
            and 0 < taken.amount_minor <= held.amount_minor
        )
    return is_amount(receipt, request.total)


def is_amount(receipt: Receipt, asked: Money) -> bool:
    """Tell whether a receipt is over the amount that was asked for.

    One of a decline that is not in the log has none, if the switch did not verify the request.
    """
    if receipt.HasField("amount") or receipt.HasField("log_position"):
        return receipt.amount == asked
    return receipt.outcome == _DECLINED
