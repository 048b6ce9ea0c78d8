"""The phone's own line to the switch, as far as payments go over it (mission rows B2 and B5).

Mutual TLS with the phone's certificate. What is submitted is sent again, the same bytes, until the
switch has answered; so it is safe to break off and begin anew. Blocking: called in the threads of
`submitter`, and by `bill_collector`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import grpc

from kessai.channel import (
    CALL_TIMEOUT_S,
    RETRY_FACTOR,
    RETRY_FIRST_S,
    is_line_lost,
    open_blocking_channel,
)
from kessai.device_identity import DeviceIdentity
from kessai.line_trouble import trouble_in
from kessai.v1.bill_pb2 import GetWalletCertificateRequest, SettleBillRequest
from kessai.v1.bill_pb2_grpc import BillServiceStub
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.payment_pb2 import (
    FollowPaymentsRequest,
    GetPaymentRequest,
    SettlePaymentRequest,
)
from kessai.v1.payment_pb2_grpc import PaymentServiceStub

LONGEST_PAUSE_S = 2.0

# Nobody knows what became of it, or the switch will do it later.
_AGAIN = (
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
)


@dataclass(frozen=True, slots=True)
class NotTaken:
    """The switch did nothing with it, and says why."""

    why: str


Submission = SettlePaymentRequest | SettleBillRequest


class OwnLine:
    """An open line of a phone. `pause` waits some seconds, and tells whether to give up.

    `trouble` is why the switch could not be reached though it is there; "" if that is not known.
    """

    def __init__(self, identity: DeviceIdentity) -> None:
        self._channel = open_blocking_channel(identity)
        self._payments, self._bills = (
            PaymentServiceStub(self._channel),
            BillServiceStub(self._channel),
        )
        self.trouble = ""

    def close(self) -> None:
        """Close it; calls under way end."""
        self._channel.close()

    def submit(
        self, submission: Submission, pause: Callable[[float], bool]
    ) -> Signed | NotTaken | None:
        """Send until it is answered: a signed receipt, or NotTaken; None if `pause` gave up."""
        pause_s = RETRY_FIRST_S
        while True:
            try:
                return self._send(submission)
            except grpc.RpcError as error:
                call = cast(grpc.Call, error)
                if not is_line_lost(error) and call.code() not in _AGAIN:
                    return NotTaken(call.details() or call.code().name)
                self.trouble = trouble_in(call.details())
            if pause(pause_s):
                return None
            pause_s = min(LONGEST_PAUSE_S, pause_s * RETRY_FACTOR)

    def certify(self) -> Signed | NotTaken:
        """Have the phone's key certified under its wallet's name."""
        try:
            answer = self._bills.GetWalletCertificate(
                GetWalletCertificateRequest(), timeout=CALL_TIMEOUT_S
            )
        except grpc.RpcError as error:
            details = cast(grpc.Call, error).details()
            return NotTaken(trouble_in(details) or details or "no answer")
        return answer.wallet_certificate

    def find(self, payment_id: str) -> Signed | None:
        """Ask for the receipt of a bill that this wallet made; None if there is none."""
        request = GetPaymentRequest(request_id=payment_id)
        try:
            return self._payments.GetPayment(request, timeout=CALL_TIMEOUT_S).receipt
        except grpc.RpcError:
            return None

    def follow(self, within_s: float) -> Iterator[Signed | None]:
        """Tell the receipts of this wallet's bills as they are booked, None when it has begun.

        Ends after so many seconds, or when the line breaks; waits so long for a line.
        """
        call: Any = self._payments.FollowPayments(
            FollowPaymentsRequest(), timeout=within_s, wait_for_ready=True
        )
        try:
            for answer in call:
                yield answer.receipt if answer.HasField("receipt") else None
        except grpc.RpcError:
            return
        finally:
            call.cancel()

    def _send(self, submission: Submission) -> Signed:
        if isinstance(submission, SettlePaymentRequest):
            return self._payments.SettlePayment(submission, timeout=CALL_TIMEOUT_S).receipt
        return self._bills.SettleBill(submission, timeout=CALL_TIMEOUT_S).receipt
