"""A ride between two gates, and what it may cost."""

from __future__ import annotations

from dataclasses import dataclass

from kessai.money import Money


@dataclass(frozen=True, slots=True)
class Ride:
    """Where and when somebody tapped in and out: stop_ids, microseconds since 1970.

    A time of 0 is not known: then no fare is out of the question for its time of day.
    """

    origin: str
    destination: str
    entry_us: int = 0
    exit_us: int = 0


@dataclass(frozen=True, slots=True)
class Offer:
    """A price of one ride; `group` is its leg group, by which transfers are priced, "" for none."""

    price: Money
    group: str = ""
