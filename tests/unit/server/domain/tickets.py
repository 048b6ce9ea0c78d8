"""Tickets and what becomes of them, as the switch makes them. Shared by the tests.

As in `commands`, nothing is signed: below the switch nobody looks at signatures.
"""

from __future__ import annotations

from kessai.currency import BY_NUMBER
from kessai.request_id import format_request_id
from kessai.ticket import terms_of, ticket_id_of
from kessai.v1 import ticket_pb2 as pb
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.money_pb2 import Money
from server.domain.history import operator_input_hash
from server.domain.ticket import RedeemTicket, RefundTicket, RevokeTicket, redemption_id
from tests.unit.server.domain.commands import EUR, MINUTE_US, NOW_US, fresh_id

DOOR = "agent/venue/door-1"


def offer(
    price: int = 2500, admits: int = 1, value: int = 0, merchant: str = "venue", ledger: int = EUR
) -> pb.TicketOffer:
    """A ticket on sale, valid from an hour before NOW_US to an hour after."""
    code = BY_NUMBER[ledger].code
    made = pb.TicketOffer(
        offer_id="adult",
        merchant_id=merchant,
        event_id="concert",
        event_name="Spring Concert",
        title="Adult",
        kind=pb.TICKET_KIND_GIFT_CERTIFICATE if value else pb.TICKET_KIND_ADMISSION,
        price=Money(amount_minor=price, currency_code=code),
        admits=0 if value else admits,
    )
    if value:
        made.value.CopyFrom(Money(amount_minor=value, currency_code=code))
    made.valid_from_time.FromMicroseconds(NOW_US - 60 * MINUTE_US)
    made.valid_until_time.FromMicroseconds(NOW_US + 60 * MINUTE_US)
    return made


def ticket(terms: pb.TicketOffer | None = None, payment_id: bytes = b"") -> pb.Ticket:
    """A ticket that was sold."""
    ticket_id = ticket_id_of(payment_id or fresh_id(), 0)
    return pb.Ticket(ticket_id=ticket_id, offer=terms or offer(), venue_name="Town Hall")


def redeem(
    sold: pb.Ticket,
    venue: int,
    persons: int = 1,
    amount: int = 0,
    redeem_us: int = NOW_US,
    request_id: bytes = b"",
) -> RedeemTicket:
    """Let persons in, or spend an amount."""
    request_id = request_id or fresh_id()
    use = pb.Redemption(
        request_id=format_request_id(request_id),
        ticket=_signed(sold),
        persons=persons,
        amount_minor=amount,
    )
    use.redeem_time.FromMicroseconds(redeem_us)
    request = use.SerializeToString(deterministic=True)
    return RedeemTicket(
        redemption_id(DOOR, request_id), operator_input_hash(request), 0, venue, amount, EUR,
        _body(request, sold), ticket=terms_of(sold), persons=persons, redeem_us=redeem_us,
    )  # fmt: skip


def refund(sold: pb.Ticket, venue: int, payer: int, request_id: bytes = b"") -> RefundTicket:
    """Give the price back."""
    request_id = request_id or fresh_id()
    request = pb.RefundTicketRequest(
        request_id=format_request_id(request_id), ticket_id=sold.ticket_id
    ).SerializeToString(deterministic=True)
    return RefundTicket(
        request_id, operator_input_hash(request), venue, payer, sold.offer.price.amount_minor, EUR,
        _body(request, sold), ticket=terms_of(sold),
    )  # fmt: skip


def revoke(sold: pb.Ticket, venue: int, request_id: bytes = b"") -> RevokeTicket:
    """Make it void."""
    request_id = request_id or fresh_id()
    request = pb.RevokeTicketRequest(
        request_id=format_request_id(request_id), ticket_id=sold.ticket_id
    ).SerializeToString(deterministic=True)
    return RevokeTicket(
        request_id, operator_input_hash(request), 0, venue, 0, EUR, _body(request, sold),
        ticket=terms_of(sold),
    )  # fmt: skip


def _signed(sold: pb.Ticket) -> Signed:
    return Signed(payload=sold.SerializeToString(deterministic=True))


def _body(request: bytes, sold: pb.Ticket) -> bytes:
    evidence = pb.TicketEvidence(caller=DOOR, request=request, ticket=_signed(sold))
    return evidence.SerializeToString()
