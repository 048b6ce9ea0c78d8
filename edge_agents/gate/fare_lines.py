"""The lines of a fare, as its passenger, the carrier and the receipt read them."""

from __future__ import annotations

from collections.abc import Callable

from edge_agents.gate.rules import Charge
from kessai.request_form import DESCRIPTION_CHARACTERS
from kessai.v1.payment_pb2 import LineItem


def fare_lines(
    charge: Charge, entry: str, station: str, name_of: Callable[[str], str]
) -> list[LineItem]:
    """The lines of a ride from an entry station to another; "" for an end that nobody saw.

    A transfer is the fare of the ride alone, what the transfer takes off or adds, and what the
    day's cap takes off. Together they are the fare.
    """
    ends = [name_of(stop) for stop in (entry, station) if stop]
    ride = " - ".join(ends) if len(ends) == 2 else f"Ride, {ends[0]}"
    if charge.journey is None or not charge.is_transfer:
        return [_line(ride, charge.fare.minor)]
    before = charge.journey.rides[-2]
    transfer = f"Transfer from {name_of(before.origin)} - {name_of(before.destination)}"
    lines = [
        _line(ride, charge.alone_minor),
        _line(transfer, charge.uncapped_minor - charge.alone_minor),
    ]
    by_cap = charge.fare.minor - charge.uncapped_minor
    return [*lines, _line("Cap of the day", by_cap)] if by_cap else lines


def _line(text: str, minor: int) -> LineItem:
    description = text[:DESCRIPTION_CHARACTERS]
    return LineItem(description=description, quantity=1, unit_price_minor=minor)
