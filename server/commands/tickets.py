"""`kessai ticket`: what an operator does with tickets that were sold."""

from __future__ import annotations

from datetime import UTC
from typing import Annotated

import typer
from rich.text import Text

from kessai.complaint import Complaint
from kessai.console import Console, styled
from kessai.envelope import read_verified
from kessai.money import Money
from kessai.request_id import RequestIdError
from kessai.ticket import format_ticket_id, parse_ticket_id
from kessai.v1 import ticket_pb2 as pb
from kessai.v1.ticket_pb2_grpc import TicketServiceStub
from server.commands.offers import clock, offer, worth
from server.commands.operator_line import DEADLINE_S, call, change, request_id_of
from server.commands.options import Data, Identity, RequestId
from server.commands.outcome import require_accepted, show_request

ticket = typer.Typer(
    pretty_exceptions_enable=False,
    add_completion=False,
    no_args_is_help=True,
    help="Offer tickets; show, refund and revoke those that were sold.",
)
ticket.add_typer(offer, name="offer")

_out = Console()

TicketNumber = Annotated[str, typer.Argument(help="As on the phone: payment id, slash, place.")]


@ticket.command("show")
def show_ticket(number: TicketNumber, data: Data = None, identity: Identity = None) -> None:
    """Show a ticket that was sold, and what became of it.

    Example: kessai ticket show 0197f3a2-7c1e-7000-8000-0123456789ab/0
    """
    request = pb.GetTicketRequest(ticket_id=_ticket_id(number))
    response = call(
        data, identity, lambda ch: TicketServiceStub(ch).GetTicket(request, timeout=DEADLINE_S)
    )
    sold, state = read_verified(response.ticket, pb.Ticket), response.state
    terms = sold.offer
    _out.print(styled("[bold]{}[/], {}, {}", terms.event_name, terms.title, sold.venue_name))
    _out.print(f"{format_ticket_id(sold.ticket_id)}  {Money.from_proto(terms.price)}")
    _out.print(
        f"from {clock(terms.valid_from_time.ToDatetime(UTC))} "
        f"until {clock(terms.valid_until_time.ToDatetime(UTC))}, {worth(terms)}"
    )
    _out.print(_standing(terms, state))


@ticket.command("refund")
def refund_ticket(
    number: TicketNumber,
    request_id: RequestId = "",
    data: Data = None,
    identity: Identity = None,
) -> None:
    """Give the price of an unused ticket back to the account that paid it.

    Example: kessai ticket refund 0197f3a2-7c1e-7000-8000-0123456789ab/0
    """
    request = pb.RefundTicketRequest(
        request_id=request_id_of(request_id), ticket_id=_ticket_id(number)
    )
    response = change(
        data,
        identity,
        request.request_id,
        lambda ch: TicketServiceStub(ch).RefundTicket(request, timeout=DEADLINE_S),
    )
    require_accepted(response.decline_reason)
    _out.print(f"{Money.from_proto(response.amount)} went back; the ticket opens no door any more")
    show_request(request.request_id)


@ticket.command("revoke")
def revoke_ticket(
    number: TicketNumber,
    request_id: RequestId = "",
    data: Data = None,
    identity: Identity = None,
) -> None:
    """Make a ticket void, with no money back.

    Example: kessai ticket revoke 0197f3a2-7c1e-7000-8000-0123456789ab/0
    """
    request = pb.RevokeTicketRequest(
        request_id=request_id_of(request_id), ticket_id=_ticket_id(number)
    )
    response = change(
        data,
        identity,
        request.request_id,
        lambda ch: TicketServiceStub(ch).RevokeTicket(request, timeout=DEADLINE_S),
    )
    require_accepted(response.decline_reason)
    _out.print("The ticket opens no door any more")
    show_request(request.request_id)


def _standing(terms: pb.TicketOffer, state: pb.TicketState) -> str | Text:
    if state.refunded:
        return styled("[red]refunded[/]")
    if state.revoked:
        return styled("[red]revoked[/]")
    if terms.HasField("value"):
        left = terms.value.amount_minor - state.spent_minor
        return f"{Money(left, terms.value.currency_code)} left"
    return f"{state.persons_in} of {terms.admits} in"


def _ticket_id(text: str) -> bytes:
    try:
        return parse_ticket_id(text)
    except RequestIdError as error:
        raise Complaint(f"{text} is not a ticket's number: {error}") from None
