"""The terminal's side of a tap: the messages of one phone in the field (mission row B1).

A session begins when a phone comes into the field and ends when it leaves. The terminal presents
the payment request, inquires while the customer decides, and delivers the receipt. A phone that
left half way is presented the same bytes at its next tap; it answers as it did the first time.
Used by every agent that takes money from a phone. What a phone says is not trusted: an answer that
is not one ends the session as if the phone had left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from edge_agents.links.message_link import LinkLost, MessageLink
from edge_agents.payment_request import PendingPayment
from kessai.seal import MAX_SEALED_BYTES
from kessai.v1 import tap_pb2
from kessai.v1.envelope_pb2 import Sealed, Signed
from kessai.v1.holder_pb2 import HolderAnswer
from kessai.v1.tap_pb2 import (
    DeliverReceipt,
    InquirePayment,
    PresentPayment,
    TapRequest,
    TapResponse,
    TapStatus,
)

SESSION_ID_BYTES = 16
EXCHANGE_S = 2.0
INQUIRE_EVERY_S = 0.15
MAX_ANSWER_BYTES = 2 * MAX_SEALED_BYTES

# What a phone says when its customer will not pay a request with it: event, text.
PHONE_SAYS_NO = {
    tap_pb2.TAP_STATUS_CUSTOMER_DECLINED: ("customer_declined", "Declined on the phone."),
    tap_pb2.TAP_STATUS_PHONE_LOCKED: ("phone_refused", "The phone is locked."),
    tap_pb2.TAP_STATUS_REQUEST_REFUSED: ("phone_refused", "Phone refused this terminal."),
}


@dataclass(frozen=True, slots=True)
class PhoneAnswer:
    """The customer's decision as the phone tells it; sealed only with AUTHORIZED.

    `holder`: with a payment that may be deferred, what proves who it is without the switch.
    """

    status: TapStatus.ValueType
    sealed: Sealed | None = None
    holder: HolderAnswer | None = None


class TapSession:
    """The exchanges with one phone, numbered from 1; each raises LinkLost if it got no answer."""

    def __init__(self, link: MessageLink, session_id: bytes) -> None:
        self._link, self._session_id = link, session_id
        self._sequence = 0

    async def present(self, pending: PendingPayment, certificate: Signed | None) -> TapResponse:
        """Ask the customer to pay; without a certificate if one was shown in this session."""
        body = PresentPayment(payment_request=pending.signed, merchant_certificate=certificate)
        return await self.exchange(TapRequest(present_payment=body))

    async def inquire(self, pending: PendingPayment) -> TapResponse:
        """Ask for the decision on a request that was presented before."""
        body = InquirePayment(request_hash=pending.request_hash)
        return await self.exchange(TapRequest(inquire_payment=body))

    async def deliver(self, receipt: Signed, tickets: Sequence[Signed] = ()) -> bool:
        """Tell the phone the outcome, with the tickets that were bought; True if it took them."""
        body = DeliverReceipt(receipt=receipt, tickets=tickets)
        answer = await self.exchange(TapRequest(deliver_receipt=body))
        return answer.status == tap_pb2.TAP_STATUS_RECEIPT_ACCEPTED

    async def exchange(self, request: TapRequest) -> TapResponse:
        """Send a request and give its answer; LinkLost if what comes is none."""
        self._sequence += 1
        request.session_id, request.sequence = self._session_id, self._sequence
        raw = await self._link.exchange(request.SerializeToString(), EXCHANGE_S)
        if len(raw) > MAX_ANSWER_BYTES:
            raise LinkLost("the answer is too long")
        try:
            answer = TapResponse.FromString(raw)
        except DecodeError:
            raise LinkLost("what came was no answer") from None
        answer.DiscardUnknownFields()  # of a newer phone; the switch takes no call with one
        if (answer.session_id, answer.sequence) != (self._session_id, self._sequence):
            raise LinkLost("what came was the answer to something else")
        return answer


async def ask_to_pay(
    session: TapSession,
    pending: PendingPayment,
    certificate: Signed | None,
    is_wanted: Callable[[], bool],
    on_deciding: Callable[[], None],
) -> PhoneAnswer | None:
    """Present a request and wait for the decision; None if it is not wanted any more meanwhile.

    `is_wanted` is asked before every inquiry. LinkLost if the phone leaves.
    """
    answer = await session.present(pending, certificate)
    if answer.status == tap_pb2.TAP_STATUS_CUSTOMER_DECIDING:
        on_deciding()
    while answer.status == tap_pb2.TAP_STATUS_CUSTOMER_DECIDING:
        await asyncio.sleep(INQUIRE_EVERY_S)
        if not is_wanted():
            return None
        answer = await session.inquire(pending)
        if answer.status == tap_pb2.TAP_STATUS_REQUEST_UNKNOWN:
            answer = await session.present(pending, certificate)
    return _read_decision(answer) if is_wanted() else None


def _read_decision(answer: TapResponse) -> PhoneAnswer:
    if answer.status != tap_pb2.TAP_STATUS_AUTHORIZED:
        return PhoneAnswer(answer.status)
    if not 0 < len(answer.sealed_authorization.ciphertext) <= MAX_SEALED_BYTES:
        return PhoneAnswer(tap_pb2.TAP_STATUS_NOT_UNDERSTOOD)
    holder = answer.holder_answer if answer.HasField("holder_answer") else None
    return PhoneAnswer(answer.status, answer.sealed_authorization, holder)
