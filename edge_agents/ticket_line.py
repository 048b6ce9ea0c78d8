"""A terminal's calls to the switch about tickets: what is on offer, and what was let in.

Each call is one attempt with a deadline; whoever calls tries again (`entrance.upload`), or goes on
without (`entrance`, `ticket_machine`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import grpc
import grpc.aio

from edge_agents.uplink import FINAL, Uplink, describe, is_away, reason_of
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.payment_pb2 import GetPaymentRequest
from kessai.v1.payment_pb2_grpc import PaymentServiceStub
from kessai.v1.ticket_pb2 import (
    GetTicketRequest,
    ListTicketOffersRequest,
    RedeemTicketsRequest,
    Redemption,
    RedemptionResult,
    TicketOffer,
    TicketState,
)
from kessai.v1.ticket_pb2_grpc import TicketServiceStub

if TYPE_CHECKING:
    from kessai.v1.payment_pb2_grpc import PaymentServiceAsyncStub
    from kessai.v1.ticket_pb2_grpc import TicketServiceAsyncStub

CALL_S = 5.0
# A person waits at the door meanwhile.
LOOK_S = 0.5
# A person holds the phone to the reader meanwhile.
TICKETS_S = 2.0


class CallFailed(Exception):
    """The switch did not say what it was asked; the message says why."""


class SwitchAway(CallFailed):
    """Nobody answered, or the switch cannot work now: a door may decide by itself."""


class SwitchRefused(CallFailed):
    """The switch answered with an error; `reason` names it, without its prefix, "" if unnamed."""

    def __init__(self, why: str, reason: str) -> None:
        super().__init__(why)
        self.reason = reason

    @property
    def is_final(self) -> bool:
        """Whether the switch did nothing under this request id, and never will."""
        return self.reason in FINAL


class TicketLine:
    """Calls over the agent's line, which may be exchanged meanwhile."""

    def __init__(self, uplink: Uplink) -> None:
        self._uplink = uplink

    async def offers(self) -> list[TicketOffer]:
        """Ask what the terminal's merchant has on sale, all pages of it; CallFailed."""
        offers: list[TicketOffer] = []
        ask, stub = ListTicketOffersRequest(), self._stub()
        while True:
            try:
                page = await stub.ListTicketOffers(ask, timeout=CALL_S, wait_for_ready=True)
            except grpc.aio.AioRpcError as error:
                raise _failure(error) from None
            offers += page.offers
            ask.page_token = page.next_page_token
            if not ask.page_token:
                return offers

    async def tickets(self, payment_id: str) -> list[Signed]:
        """Ask for the tickets that a payment bought, none if it was not settled; CallFailed."""
        try:
            ask = GetPaymentRequest(request_id=payment_id)
            stub: PaymentServiceAsyncStub = PaymentServiceStub(self._uplink.channel)
            answer = await stub.GetPayment(ask, timeout=TICKETS_S, wait_for_ready=True)
        except grpc.aio.AioRpcError as error:
            raise _failure(error) from None
        return list(answer.tickets)

    async def redeem(self, uses: Sequence[Redemption]) -> list[RedemptionResult]:
        """Results of entries that were let in, in their order. CallFailed: ask again the same."""
        try:
            request = RedeemTicketsRequest(redemptions=uses)
            answer = await self._stub().RedeemTickets(request, timeout=CALL_S, wait_for_ready=True)
        except grpc.aio.AioRpcError as error:
            raise _failure(error) from None
        return list(answer.results)

    async def look(self, ticket_id: bytes) -> TicketState:
        """Ask how a ticket stands; CallFailed, away also if there is no answer in half a second."""
        try:
            ask = GetTicketRequest(ticket_id=ticket_id)
            answer = await self._stub().GetTicket(ask, timeout=LOOK_S)
        except grpc.aio.AioRpcError as error:
            raise _failure(error) from None
        return answer.state

    def _stub(self) -> TicketServiceAsyncStub:
        return TicketServiceStub(self._uplink.channel)


def _failure(error: grpc.aio.AioRpcError) -> CallFailed:
    if is_away(error):
        return SwitchAway(describe(error))
    return SwitchRefused(describe(error), reason_of(error))
