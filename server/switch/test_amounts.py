"""Test amounts: totals to which a switch made for tests answers as real ones rarely do.

For developers of terminals, who can so try every decline, late answers and none at all. The last
four digits of a payment request's total, in minor units, say which; any other total is worked as
ever. `register_purchase.py` asks here, if `bootstrap` has let it: `test_amounts = true`, and books
that were made for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from kessai.complaint import Complaint
from kessai.v1 import decline_pb2 as d
from kessai.v1.decline_pb2 import DeclineReason
from kessai.v1.payment_pb2 import PaymentRequest
from server.domain.command import ACCEPTED
from server.shards.settlement_log import LogRow
from server.switch.refused import Unavailable

DIGITS = 10_000

# Every reason for which a switch may decline a payment request. It ends in 90 and the reason's
# number: 90.43 is INSUFFICIENT_FUNDS.
DECLINES: dict[int, DeclineReason.ValueType] = {
    90_00 + reason: reason
    for reason in (
        d.DECLINE_REASON_REQUEST_SIGNATURE_INVALID,
        d.DECLINE_REASON_REQUEST_MALFORMED,
        d.DECLINE_REASON_REQUEST_NOT_FROM_CALLER,
        d.DECLINE_REASON_AUTHORIZATION_UNREADABLE,
        d.DECLINE_REASON_AUTHORIZATION_SIGNATURE_INVALID,
        d.DECLINE_REASON_AUTHORIZATION_MALFORMED,
        d.DECLINE_REASON_AUTHORIZATION_MISMATCH,
        d.DECLINE_REASON_CUSTOMER_NOT_VERIFIED,
        d.DECLINE_REASON_SUBMITTER_MISMATCH,
        d.DECLINE_REASON_WALLET_UNKNOWN,
        d.DECLINE_REASON_WALLET_REVOKED,
        d.DECLINE_REASON_PAYER_ACCOUNT_UNKNOWN,
        d.DECLINE_REASON_PAYEE_ACCOUNT_UNKNOWN,
        d.DECLINE_REASON_PAYER_IS_PAYEE,
        d.DECLINE_REASON_WALLET_NOT_CALLER,
        d.DECLINE_REASON_AMOUNT_NOT_POSITIVE,
        d.DECLINE_REASON_AMOUNT_TOO_LARGE,
        d.DECLINE_REASON_CURRENCY_MISMATCH,
        d.DECLINE_REASON_INSUFFICIENT_FUNDS,
        d.DECLINE_REASON_EXPIRED,
        d.DECLINE_REASON_CLOCK_AHEAD,
        d.DECLINE_REASON_ADMISSION_USED,
        d.DECLINE_REASON_TICKET_OFFER_UNKNOWN,
        d.DECLINE_REASON_TICKET_ORDER_WRONG,
        d.DECLINE_REASON_TICKET_HOLDER_MISSING,
    )
}
# Worked as ever, and answered so many seconds after it was booked: 91.05 five seconds.
LATE_S = {91_00 + seconds: seconds for seconds in range(1, 61)}
# Fails with STORE_UNAVAILABLE, and nothing is done, until the request has expired.
STORE_UNAVAILABLE = 92_00
# Worked as ever, and not answered before the request has expired.
NEVER_ANSWERED = 92_01

ON = (
    "test amounts are on: payments whose totals end in 9001 to 9201 are declined, late or not "
    "answered on purpose. This switch is for tests only."
)


class Rehearsal:
    """What is done instead, or besides, for test amounts."""

    def __init__(self, now_us: Callable[[], int]) -> None:
        self._now_us = now_us

    def refusal(self, request: PaymentRequest) -> DeclineReason.ValueType:
        """Tell the reason for which a verified request is declined, or ACCEPTED.

        Raises Unavailable.
        """
        ending = _ending(request)
        if ending == STORE_UNAVAILABLE and self._now_us() < request.expire_time.ToMicroseconds():
            raise Unavailable("a test amount")
        return DECLINES.get(ending, ACCEPTED)

    async def hold_back(self, request: PaymentRequest, row: LogRow) -> None:
        """Wait until a request that was booked may be answered; most may at once.

        The time counts from the log row, so a repeated request does not wait anew.
        """
        ending, answer_us = _ending(request), 0
        if ending in LATE_S:
            answer_us = row.time.decide_us + LATE_S[ending] * 1_000_000
        elif ending == NEVER_ANSWERED:
            answer_us = request.expire_time.ToMicroseconds()
        await asyncio.sleep(max(0, answer_us - self._now_us()) / 1_000_000)


def rehearsal(wanted: bool, made_for_tests: bool, now_us: Callable[[], int]) -> Rehearsal | None:
    """Make what answers test amounts, if the configuration wants it.

    Complaint if the books were not made for it: people's money may be in them.
    """
    if wanted and not made_for_tests:
        raise Complaint(
            "kessai.toml says test_amounts = true, but these books were not made for tests: "
            "payments of real customers would be declined at random. Nothing was started. Set it "
            "to false, or make other books with: kessai init --test-amounts"
        )
    return Rehearsal(now_us) if wanted else None


def _ending(request: PaymentRequest) -> int:
    return request.total.amount_minor % DIGITS
