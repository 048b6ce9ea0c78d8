"""The tickets on the phone as a list to be looked at, and fetching those that never arrived.

Called by `cli`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC
from pathlib import Path

from rich import box
from rich.align import Align
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.text import Text

from kessai.console import Table
from kessai.decline import meaning_of
from kessai.device_identity import load_identity
from kessai.money import Money
from kessai.ticket import format_ticket_id
from kessai.v1.ticket_pb2 import TICKET_KIND_GIFT_CERTIFICATE
from simulators.phone.bank_line import open_bank_line
from simulators.phone.holder_key import HolderKey
from simulators.phone.store import Store
from simulators.phone.ticket_pocket import TicketPocket
from simulators.phone.ticket_store import KeptTicket, TicketStore

_WIDTH = 46


def draw_tickets(folder: Path) -> RenderableType:
    """Draw every ticket on the phone, the oldest first."""
    tickets = kept_tickets(folder)
    if not tickets:
        return Text("There is no ticket on this phone.", style="dim")
    return Group(*map(_draw, tickets))


def kept_tickets(folder: Path) -> list[KeptTicket]:
    """Every ticket on the phone, the oldest first; Complaint if it is no phone's folder."""
    load_identity(folder)
    store = TicketStore(folder)
    try:
        return store.all()
    finally:
        store.close()


async def fetch_tickets(folder: Path, now_us: Callable[[], int]) -> None:
    """Ask the bank for the tickets of every payment that ordered some; Complaint if it is silent.

    They are the same each time, so what is here already is not changed.
    """
    identity = load_identity(folder)
    purchases, store = Store(folder), TicketStore(folder)
    holder_key = HolderKey(folder, identity.switch_key)
    pocket = TicketPocket(identity.switch_key, store, holder_key, lambda page: None, now_us)
    try:
        async with open_bank_line(folder, now_us) as line:
            for decision in purchases.history(1_000_000):
                request = decision.read_request()
                if request.ticket_orders and decision.sealed:
                    pocket.keep(await line.tickets(request.request_id), request.request_id)
    finally:
        purchases.close()
        store.close()


def _draw(kept: KeptTicket) -> Panel:
    terms = kept.ticket.offer
    begins = terms.valid_from_time.ToDatetime(UTC).astimezone()
    ends = terms.valid_until_time.ToDatetime(UTC).astimezone()
    facts = Table.grid(padding=(0, 2))
    facts.add_row(Text("from", style="dim"), begins.strftime("%a %d %b %Y, %H:%M"))
    facts.add_row(Text("until", style="dim"), ends.strftime("%a %d %b %Y, %H:%M"))
    facts.add_row(Text("price", style="dim"), str(Money.from_proto(terms.price)))
    said, style = _standing(kept)
    return Panel(
        Group(
            Align.center(Text(kept.ticket.venue_name.upper(), style="dim")),
            Align.center(Text(terms.event_name, style="bold")),
            Align.center(Text(terms.title, style="bold cyan")),
            Text("╌" * (_WIDTH - 4), style="dim"),
            facts,
            Text("╌" * (_WIDTH - 4), style="dim"),
            Align.center(Text(said, style=f"bold {style}")),
            Align.center(Text(format_ticket_id(kept.ticket.ticket_id), style="dim")),
        ),
        box=box.DOUBLE_EDGE,
        width=_WIDTH,
        border_style=style,
    )


def _standing(kept: KeptTicket) -> tuple[str, str]:
    terms = kept.ticket.offer
    if kept.refusal:
        return meaning_of(kept.refusal).customer, "red"
    if terms.kind == TICKET_KIND_GIFT_CERTIFICATE:
        if not kept.value_left_minor:
            return "spent", "bright_black"
        left = Money(kept.value_left_minor, terms.value.currency_code)
        return f"worth {left}" if not kept.spent_minor else f"{left} left", "green"
    if not kept.persons_left:
        return "used", "bright_black"
    if terms.admits == 1:
        return "admits one", "green"
    return f"{kept.persons_left} of {terms.admits} may come in", "green"
