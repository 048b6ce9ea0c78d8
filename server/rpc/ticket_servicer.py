"""TicketService on the wire: translates, decides nothing.

Offers are kept by `server/switch/offer_desk.py`; what becomes of tickets is decided in
`server/switch/ticket_uses.py`.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import grpc.aio

from kessai.request_id import RequestIdError
from kessai.ticket import MAX_PERSONS, check_ticket_id
from kessai.v1 import ticket_pb2 as pb
from kessai.v1.ticket_pb2_grpc import TicketServiceServicer
from server.identity.audit import in_act
from server.identity.callers import CallerKind, current_caller
from server.identity.directory_call import in_thread
from server.rpc import fields
from server.rpc.errors import field_invalid
from server.switch.offer_desk import OfferDesk
from server.switch.ticket_uses import Requester, TicketUses

MAX_REDEMPTIONS = 50
LARGEST_PAGE = 500

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class TicketServicer(TicketServiceServicer):
    """Serves operators, ticket machines and entrances."""

    def __init__(self, desk: OfferDesk, uses: TicketUses) -> None:
        self._desk, self._uses = desk, uses

    async def CreateTicketOffer(
        self, request: pb.CreateTicketOfferRequest, context: Context
    ) -> pb.CreateTicketOfferResponse:
        """Enter an offer: FIELD_INVALID, RESOURCE_UNKNOWN, RESOURCE_EXISTS."""
        fields.request_id(request.request_id)
        fields.positive_money(request.offer.price, "offer.price")
        if request.offer.HasField("value"):
            fields.positive_money(request.offer.value, "offer.value")
        await in_act(self._desk.add, request.offer)
        return pb.CreateTicketOfferResponse()

    async def ListTicketOffers(
        self, request: pb.ListTicketOffersRequest, context: Context
    ) -> pb.ListTicketOffersResponse:
        """List a merchant's offers: FIELD_INVALID, CALLER_NOT_PERMITTED."""
        merchant_id = request.merchant_id or _requester().merchant_id
        if not merchant_id:
            raise field_invalid("merchant_id", "say whose offers")
        size = fields.page_size(request.page_size, LARGEST_PAGE, LARGEST_PAGE)
        listed, following = await in_thread(
            self._desk.page,
            merchant_id,
            _requester().merchant_id,
            request.page_token,
            size,
            request.include_over,
        )
        return pb.ListTicketOffersResponse(
            offers=[kept.offer for kept in listed],
            next_page_token=following,
            withdrawn_offer_ids=[kept.offer.offer_id for kept in listed if kept.is_withdrawn],
        )

    async def WithdrawTicketOffer(
        self, request: pb.WithdrawTicketOfferRequest, context: Context
    ) -> pb.WithdrawTicketOfferResponse:
        """Take an offer off the market: FIELD_INVALID, RESOURCE_UNKNOWN."""
        fields.request_id(request.request_id)
        await in_act(self._desk.withdraw, request.merchant_id, request.offer_id)
        return pb.WithdrawTicketOfferResponse()

    async def RedeemTickets(
        self, request: pb.RedeemTicketsRequest, context: Context
    ) -> pb.RedeemTicketsResponse:
        """Book uses of tickets: FIELD_INVALID, REQUEST_ID_REUSED."""
        if not 1 <= len(request.redemptions) <= MAX_REDEMPTIONS:
            raise field_invalid("redemptions", f"1 to {MAX_REDEMPTIONS}")
        for use in request.redemptions:
            if not 0 <= use.persons <= MAX_PERSONS or use.amount_minor < 0:
                raise field_invalid("redemptions", "persons or an amount out of range")
        uses = [(fields.request_id(use.request_id), use) for use in request.redemptions]
        declines = await self._uses.redeem(uses, _requester())
        results = zip(request.redemptions, declines, strict=True)
        return pb.RedeemTicketsResponse(
            results=[
                pb.RedemptionResult(request_id=use.request_id, decline_reason=decline)
                for use, decline in results
            ]
        )

    async def RefundTicket(
        self, request: pb.RefundTicketRequest, context: Context
    ) -> pb.RefundTicketResponse:
        """Give the price of an unused ticket back: FIELD_INVALID, RESOURCE_UNKNOWN."""
        request_id = fields.request_id(request.request_id)
        _check_ticket_id(request.ticket_id)
        decline, ticket = await self._uses.refund(request, request_id, _requester())
        if decline:
            return pb.RefundTicketResponse(decline_reason=decline)
        return pb.RefundTicketResponse(amount=ticket.offer.price)

    async def RevokeTicket(
        self, request: pb.RevokeTicketRequest, context: Context
    ) -> pb.RevokeTicketResponse:
        """Make a ticket void: FIELD_INVALID, RESOURCE_UNKNOWN."""
        request_id = fields.request_id(request.request_id)
        _check_ticket_id(request.ticket_id)
        decline = await self._uses.revoke(request, request_id, _requester())
        return pb.RevokeTicketResponse(decline_reason=decline)

    async def GetTicket(
        self, request: pb.GetTicketRequest, context: Context
    ) -> pb.GetTicketResponse:
        """Tell how a ticket stands: FIELD_INVALID, RESOURCE_UNKNOWN."""
        _check_ticket_id(request.ticket_id)
        sold, state = await self._uses.look(request.ticket_id, _requester())
        return pb.GetTicketResponse(ticket=sold.signed, state=state)


def _requester() -> Requester:
    caller = current_caller()
    return Requester(caller.device, caller.path[0] if caller.kind is CallerKind.AGENT else "")


def _check_ticket_id(raw: bytes) -> None:
    try:
        check_ticket_id(raw)
    except RequestIdError as error:
        raise field_invalid("ticket_id", str(error)) from None
