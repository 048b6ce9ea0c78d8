"""`kessai ticket offer`: what venues sell. Mounted by `tickets.py`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import grpc.aio
import typer
from rich.text import Text

from kessai.complaint import Complaint
from kessai.console import Console, Table, styled
from kessai.json_lines import print_json
from kessai.money import Money
from kessai.v1 import ticket_pb2 as pb
from kessai.v1.ticket_pb2_grpc import TicketServiceStub
from server.commands.amounts import amount_of
from server.commands.operator_line import DEADLINE_S, call, change, request_id_of
from server.commands.options import AsJson, Data, Identity, RequestId
from server.commands.outcome import show_request

offer = typer.Typer(
    pretty_exceptions_enable=False,
    add_completion=False,
    no_args_is_help=True,
    help="What venues sell.",
)

_out = Console(soft_wrap=True)

KINDS = {
    "admission": pb.TICKET_KIND_ADMISSION,
    "rail": pb.TICKET_KIND_RAIL,
    "seat": pb.TICKET_KIND_SEAT,
    "certificate": pb.TICKET_KIND_GIFT_CERTIFICATE,
}
_TIME = "YYYY-MM-DDTHH:MM, with a zone such as +01:00 or Z; without: this machine's."

MerchantId = Annotated[str, typer.Argument(help="The venue.")]


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


@offer.command("withdraw")
def withdraw_offer(
    merchant_id: MerchantId,
    offer_id: Annotated[str, typer.Argument(help="As kessai ticket offer list shows it.")],
    request_id: RequestId = "",
    data: Data = None,
    identity: Identity = None,
) -> None:
    """Take an offer off the market; tickets that were sold stay good.

    Example: kessai ticket offer withdraw hall adult
    """
    request = pb.WithdrawTicketOfferRequest(
        request_id=request_id_of(request_id), merchant_id=merchant_id, offer_id=offer_id
    )
    change(
        data,
        identity,
        request.request_id,
        lambda ch: TicketServiceStub(ch).WithdrawTicketOffer(request, timeout=DEADLINE_S),
    )
    _out.print(styled("[green]{} is not sold any more[/]", offer_id))
    show_request(request.request_id)


@offer.command("list")
def list_offers(
    merchant_id: MerchantId,
    with_over: Annotated[
        bool, typer.Option("--all", help="Also what is over or was withdrawn.")
    ] = False,
    as_json: AsJson = False,
    data: Data = None,
    identity: Identity = None,
) -> None:
    """List what a venue has on sale.

    Example: kessai ticket offer list hall --json
    """
    offers, withdrawn = _fetch(merchant_id, with_over, data, identity)
    if as_json:
        print_json(offers)
        return
    table = Table("offer", "event", "ticket", "price", "from", "until", "gives", "", box=None)
    table.columns[3].justify = "right"
    for entry in offers:
        table.add_row(
            entry.offer_id,
            f"{entry.event_name} ({entry.event_id})",
            entry.title,
            str(Money.from_proto(entry.price)),
            clock(entry.valid_from_time.ToDatetime(UTC)),
            clock(entry.valid_until_time.ToDatetime(UTC)),
            worth(entry),
            Text("withdrawn", "dim") if entry.offer_id in withdrawn else "",
        )
    _out.print(table)


def worth(terms: pb.TicketOffer) -> str:
    """What a ticket gives: persons, or value."""
    if terms.HasField("value"):
        return f"{Money.from_proto(terms.value)} of value"
    return f"{terms.admits} person{'s' if terms.admits > 1 else ''}"


def clock(moment: datetime) -> str:
    """A time by this machine's clock."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M %Z")


def _fetch(
    merchant_id: str, with_over: bool, data: Path | None, identity: Path | None
) -> tuple[list[pb.TicketOffer], set[str]]:
    """All offers, and the ids of those that were withdrawn."""

    async def all_offers(channel: grpc.aio.Channel) -> tuple[list[pb.TicketOffer], set[str]]:
        stub, offers, withdrawn = TicketServiceStub(channel), list[pb.TicketOffer](), set[str]()
        request = pb.ListTicketOffersRequest(merchant_id=merchant_id, include_over=with_over)
        while True:
            page = await stub.ListTicketOffers(request, timeout=DEADLINE_S)
            offers += page.offers
            withdrawn.update(page.withdrawn_offer_ids)
            request.page_token = page.next_page_token
            if not request.page_token:
                return offers, withdrawn

    return call(data, identity, all_offers)


def _time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        raise Complaint(f'"{text}" is not a time: {_TIME}') from None
