"""Tickets that a payment buys: whether they may be sold, and what they are (row B10).

A ticket is a view of the log row of its payment, as a receipt is, so there is no second write and
the same payment gives the same tickets for ever. The row keeps the offers as they were. Used by
`register_purchase.py`, which sells, and by `ticket_uses.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kessai.envelope import TICKET, DocumentMalformed, load_public_key, read_verified, sign
from kessai.ticket import MAX_TICKETS, holder_key_hash, payment_of, ticket_id_of
from kessai.v1 import decline_pb2 as d
from kessai.v1.decline_pb2 import DeclineReason
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.payment_pb2 import (
    PAYMENT_OUTCOME_SETTLED,
    PaymentAuthorization,
    PaymentEvidence,
    PaymentRequest,
    Receipt,
)
from kessai.v1.ticket_pb2 import Ticket, TicketOffer
from server.domain.command import ACCEPTED, CommandKind
from server.identity.refusals import Unknown
from server.shards.router import Shards
from server.shards.settlement_log import LogRow
from server.shards.ticket_offers import TicketOffers
from server.switch.refused import refusing_store_trouble

_POINT_BYTES = 65


@dataclass(frozen=True, slots=True)
class Order:
    """What was ordered: the offer of each order, or why it cannot be sold."""

    offers: tuple[TicketOffer, ...] = ()
    refusal: DeclineReason.ValueType = ACCEPTED


@dataclass(frozen=True, slots=True)
class SoldTicket:
    """A ticket, signed, and the accounts of the venue that sold it and of who paid."""

    ticket: Ticket
    signed: Signed
    venue_account: int
    payer_account: int


class TicketSales:
    """Sells tickets, and gives those that were sold."""

    def __init__(
        self,
        offers: TicketOffers,
        shards: Shards,
        signing_key: Ed25519PrivateKey,
        now_us: Callable[[], int],
    ) -> None:
        self._offers, self._shards, self._now_us = offers, shards, now_us
        self._signing_key = signing_key

    def order(self, request: PaymentRequest, authorization: PaymentAuthorization) -> Order:
        """Look whether what a request orders may be sold; reads the directory.

        Refusals: TICKET_OFFER_UNKNOWN, TICKET_ORDER_WRONG, TICKET_HOLDER_MISSING.
        """
        offers: list[TicketOffer] = []
        for order in request.ticket_orders:
            offer = self._offers.find(request.merchant_id, order.offer_id)
            if offer is None or offer.valid_until_time.ToMicroseconds() <= self._now_us():
                return Order(refusal=d.DECLINE_REASON_TICKET_OFFER_UNKNOWN)
            offers.append(offer)
        if not _adds_up(request, offers):
            return Order(refusal=d.DECLINE_REASON_TICKET_ORDER_WRONG)
        if not _is_point(authorization.ticket_holder_public_key):
            return Order(refusal=d.DECLINE_REASON_TICKET_HOLDER_MISSING)
        return Order(tuple(offers))

    async def bought_by(self, receipt: Signed, request: Signed) -> list[Signed]:
        """Give the tickets of a payment that was just answered with a receipt.

        Raises Unavailable, Overloaded: the payment stands, and asking again gives the tickets.
        """
        outcome = read_verified(receipt, Receipt)
        if outcome.outcome != PAYMENT_OUTCOME_SETTLED:
            return []
        orders = read_verified(request, PaymentRequest).ticket_orders
        return await self.bought_with(outcome.request_id) if orders else []

    async def bought_with(self, request_id: bytes) -> list[Signed]:
        """Give the tickets of a payment, signed; none if it bought none or was not settled.

        Raises Unavailable, Overloaded.
        """
        row = await self._row(request_id)
        return [] if row is None else [self._sign(ticket) for ticket in tickets_of(row)]

    async def find(self, ticket_id: bytes) -> SoldTicket:
        """Give a ticket that was sold; Unknown if there is none such, Unavailable, Overloaded."""
        row = await self._row(payment_of(ticket_id))
        for ticket in tickets_of(row) if row is not None else ():
            if row is not None and ticket.ticket_id == ticket_id:
                return SoldTicket(ticket, self._sign(ticket), row.payee, row.payer)
        raise Unknown("there is no such ticket, or it is not your venue's")

    async def _row(self, request_id: bytes) -> LogRow | None:
        with refusing_store_trouble():
            found = await self._shards.find(request_id)
        return found[1] if found is not None else None

    def _sign(self, ticket: Ticket) -> Signed:
        return sign(TICKET, ticket, self._signing_key)


def tickets_of(row: LogRow) -> Iterator[Ticket]:
    """Read the tickets that a log row sold, in the order of its payment request."""
    if row.kind != CommandKind.SETTLE_PAYMENT or row.decline != ACCEPTED:
        return
    evidence = PaymentEvidence.FromString(row.body)
    request = read_verified(evidence.payment_request, PaymentRequest)
    authorization = read_verified(evidence.authorization, PaymentAuthorization)
    orders = zip(request.ticket_orders, evidence.ticket_offers, strict=True)
    sold = (offer for order, offer in orders for _ in range(order.count))
    for position, offer in enumerate(sold):
        ticket = Ticket(
            ticket_id=ticket_id_of(row.request_id, position),
            offer=offer,
            venue_name=evidence.venue_name,
            holder_key_hash=holder_key_hash(authorization.ticket_holder_public_key),
        )
        ticket.issue_time.FromMicroseconds(row.time.decide_us)
        yield ticket


def _adds_up(request: PaymentRequest, offers: list[TicketOffer]) -> bool:
    counts = [order.count for order in request.ticket_orders]
    prices = [offer.price for offer in offers]
    return (
        min(counts) >= 1
        and sum(counts) <= MAX_TICKETS
        and all(price.currency_code == request.total.currency_code for price in prices)
        and request.total.amount_minor
        == sum(n * price.amount_minor for n, price in zip(counts, prices, strict=True))
    )


def _is_point(raw: bytes) -> bool:
    try:
        load_public_key(raw)
    except DocumentMalformed:
        return False
    return len(raw) == _POINT_BYTES
