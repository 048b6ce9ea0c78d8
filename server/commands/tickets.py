"""`kessai ticket`: what an operator does with offers, and with tickets that were sold."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from kessai.complaint import Complaint
from kessai.console import Console, Table, styled
from kessai.envelope import read_verified
from kessai.json_lines import print_json
from kessai.money import Money
from kessai.request_id import RequestIdError
from kessai.ticket import format_ticket_id, parse_ticket_id
from kessai.v1 import ticket_pb2 as pb
from kessai.v1.ticket_pb2_grpc import TicketServiceStub
from server.commands.amounts import amount_of
from server.commands.operator_line import DEADLINE_S, call, change, request_id_of
from server.commands.options import AsJson, Data, Identity, RequestId
from server.commands.outcome import require_accepted, show_request

ticket = typer.Typer(
    pretty_exceptions_enable=False,
    add_completion=False,
    no_args_is_help=True,
    help="Offer tickets; show, refund and revoke those that were sold.",
)
offer = typer.Typer(
    pretty_exceptions_enable=False,
    add_completion=False,
    no_args_is_help=True,
    help="What venues sell.",
)
ticket.add_typer(offer, name="offer")

_out = Console()

KINDS = {
    "admission": pb.TICKET_KIND_ADMISSION,
    "rail": pb.TICKET_KIND_RAIL,
    "seat": pb.TICKET_KIND_SEAT,
    "certificate": pb.TICKET_KIND_GIFT_CERTIFICATE,
}
_TIME = "YYYY-MM-DDTHH:MM, with a zone such as +01:00 or Z; without: this machine's."

MerchantId = Annotated[str, typer.Argument(help="The venue.")]
TicketNumber = Annotated[str, typer.Argument(help="As on the phone: payment id, slash, place.")]


@offer.command("add")
def add_offer(
    merchant_id: MerchantId,
    offer_id: Annotated[str, typer.Argument(help='a-z, 0-9 and "-", at most 40.')],
    event: Annotated[str, typer.Option(help="The event's id, as entrances name it.")],
    event_name: Annotated[str, typer.Option(help="The event, as people read it.")],
    title: Annotated[str, typer.Option(help='Which ticket, such as "Adult".')],
    price: Annotated[str, typer.Option(help='Such as "25.00 EUR".')],
    valid_from: Annotated[str, typer.Option("--from", help=_TIME)],
    valid_until: Annotated[str, typer.Option("--until", help=_TIME)],
    kind: Annotated[str, typer.Option(help=", ".join(KINDS))] = "admission",
    admits: Annotated[int, typer.Option(help="Persons on one ticket.", min=1, max=100)] = 1,
    value: Annotated[str, typer.Option(help="Of a certificate.")] = "",
    request_id: RequestId = "",
    data: Data = None,
    identity: Identity = None,
) -> None:
    """Put a ticket on sale. An offer never changes: for other terms enter another one.

    Example: kessai ticket offer add hall adult --event spring --event-name "Spring Concert"
    --title Adult --price "25.00 EUR" --from 2027-03-01T19:00Z --until 2027-03-02T00:00Z
    """
    if kind not in KINDS:
        raise Complaint(f'there is no kind "{kind}", only {", ".join(KINDS)}')
    entered = pb.TicketOffer(
        offer_id=offer_id,
        merchant_id=merchant_id,
        event_id=event,
        event_name=event_name,
        title=title,
        kind=KINDS[kind],
        price=amount_of(price).to_proto(),
        admits=0 if kind == "certificate" else admits,
        value=amount_of(value).to_proto() if value else None,
    )
    entered.valid_from_time.FromDatetime(_time(valid_from))
    entered.valid_until_time.FromDatetime(_time(valid_until))
    request = pb.CreateTicketOfferRequest(request_id=request_id_of(request_id), offer=entered)
    _enter(request, data, identity)


def _enter(request: pb.CreateTicketOfferRequest, data: Path | None, identity: Path | None) -> None:
    change(
        data,
        identity,
        request.request_id,
        lambda ch: TicketServiceStub(ch).CreateTicketOffer(request, timeout=DEADLINE_S),
    )
    offer, on_sale = request.offer, "[green]{}, {}[/] ({}) is on sale for {}"
    parts = (offer.event_name, offer.title, offer.offer_id, Money.from_proto(offer.price))
    _out.print(styled(on_sale, *parts))
    show_request(request.request_id)


@offer.command("list")
def list_offers(
    merchant_id: MerchantId, as_json: AsJson = False, data: Data = None, identity: Identity = None
) -> None:
    """List what a venue sells.

    Example: kessai ticket offer list hall --json
    """
    request = pb.ListTicketOffersRequest(merchant_id=merchant_id)
    response = call(
        data,
        identity,
        lambda ch: TicketServiceStub(ch).ListTicketOffers(request, timeout=DEADLINE_S),
    )
    if as_json:
        print_json(response.offers)
        return
    table = Table("Offer", "Event", "Ticket", "Price", "From", "Until", "Gives", box=None)
    table.columns[3].justify = "right"
    for entry in response.offers:
        table.add_row(
            entry.offer_id,
            f"{entry.event_name} ({entry.event_id})",
            entry.title,
            str(Money.from_proto(entry.price)),
            _clock(entry.valid_from_time.ToDatetime(UTC)),
            _clock(entry.valid_until_time.ToDatetime(UTC)),
            _worth(entry),
        )
    _out.print(table)


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
        f"from {_clock(terms.valid_from_time.ToDatetime(UTC))} "
        f"until {_clock(terms.valid_until_time.ToDatetime(UTC))}, {_worth(terms)}"
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


def _worth(terms: pb.TicketOffer) -> str:
    if terms.HasField("value"):
        return f"{Money.from_proto(terms.value)} of value"
    return f"{terms.admits} person{'s' if terms.admits > 1 else ''}"


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


def _time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        raise Complaint(f'"{text}" is not a time: {_TIME}') from None


def _clock(moment: datetime) -> str:
    return moment.astimezone().strftime("%Y-%m-%d %H:%M")
