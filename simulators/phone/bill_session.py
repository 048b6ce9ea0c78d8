"""The exchanges of a phone that shows its bill to another one in its field (mission row B5).

It plays the terminal's part over the same message link: present, inquire, deliver. What the other
phone says is not trusted: an answer that is not one ends the session as if the phone had left.
Called by `bill_collector`.
"""

from __future__ import annotations

from google.protobuf.message import DecodeError

from edge_agents.links.message_link import LinkLost, MessageLink
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.tap_pb2 import (
    DeliverReceipt,
    InquirePayment,
    PresentBill,
    TapRequest,
    TapResponse,
)
from simulators.phone.bill_store import OwnBill

SESSION_ID_BYTES = 16
EXCHANGE_S = 2.0


class BillSession:
    """The exchanges with one phone, numbered from 1; each raises LinkLost if it got no answer."""

    def __init__(self, link: MessageLink, session_id: bytes) -> None:
        self._link, self._session_id, self._sequence = link, session_id, 0

    async def present(self, own: OwnBill, certificate: Signed) -> TapResponse:
        """Ask for the money."""
        body = PresentBill(bill=own.signed, wallet_certificate=certificate)
        return await self._exchange(TapRequest(present_bill=body))

    async def inquire(self, own: OwnBill) -> TapResponse:
        """Ask what the other one has decided, and what became of it."""
        body = InquirePayment(request_hash=own.bill_hash)
        return await self._exchange(TapRequest(inquire_payment=body))

    async def deliver(self, receipt: Signed) -> TapResponse:
        """Tell the other phone the outcome."""
        return await self._exchange(TapRequest(deliver_receipt=DeliverReceipt(receipt=receipt)))

    async def _exchange(self, request: TapRequest) -> TapResponse:
        self._sequence += 1
        request.session_id, request.sequence = self._session_id, self._sequence
        raw = await self._link.exchange(request.SerializeToString(), EXCHANGE_S)
        try:
            answer = TapResponse.FromString(raw)
        except DecodeError:
            raise LinkLost("what came was no answer") from None
        answer.DiscardUnknownFields()  # of a newer phone; the switch takes no call with one
        if (answer.session_id, answer.sequence) != (self._session_id, self._sequence):
            raise LinkLost("what came was the answer to something else")
        return answer
