"""Offers, and a switch that lists them, for the tests of the ticket machine."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio

from edge_agents.payment_request import RequestMaker, Terminal
from kessai.v1 import ticket_pb2 as pb
from tests.unit.edge_agents.parties import NOW_US

HOUR_US = 3_600_000_000


def make_offer(
    offer_id: str,
    price: int,
    currency: str = "EUR",
    title: str = "",
    event_name: str = "Spring Concert",
    until_us: int = NOW_US + HOUR_US,
) -> pb.TicketOffer:
    """Make an offer; the title is its id unless one is given."""
    offer = pb.TicketOffer(
        offer_id=offer_id, merchant_id="town-hall", event_id="concert", event_name=event_name,
        title=title or offer_id.title(), kind=pb.TICKET_KIND_ADMISSION, admits=1,
    )  # fmt: skip
    offer.price.amount_minor, offer.price.currency_code = price, currency
    offer.valid_until_time.FromMicroseconds(until_us)
    return offer


PAGE = 2


def make_maker(terminal: Terminal) -> RequestMaker:
    """Make a maker of requests whose clock stands still."""
    return RequestMaker(terminal, 60, lambda: NOW_US, os.urandom)


class BoxOffice:
    """The switch as it lists offers; while it is `away` it refuses the call."""

    def __init__(self, *offers: pb.TicketOffer) -> None:
        self.offers, self.away = list(offers), False

    async def list(
        self, request: pb.ListTicketOffersRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.ListTicketOffersResponse:
        """List them, a page at a time."""
        if self.away:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "away, as planned")
        first = int(request.page_token or 0)
        last = first + PAGE
        token = str(last) if last < len(self.offers) else ""
        return pb.ListTicketOffersResponse(offers=self.offers[first:last], next_page_token=token)


@asynccontextmanager
async def serve_offers(office: BoxOffice) -> AsyncIterator[grpc.aio.Channel]:
    """Serve them on a free port, and give a channel to it."""
    server = grpc.aio.server()
    listing = grpc.unary_unary_rpc_method_handler(
        office.list,
        request_deserializer=pb.ListTicketOffersRequest.FromString,
        response_serializer=pb.ListTicketOffersResponse.SerializeToString,
    )
    methods = {"ListTicketOffers": listing}
    handler = grpc.method_handlers_generic_handler("kessai.v1.TicketService", methods)
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel
    finally:
        await server.stop(None)
