"""Daily caps: from when on a rider travels free for the rest of the day.

Pure; called by the gate when it works out what a ride costs.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from kessai.money import Money

_MICROSECONDS = 1_000_000


def capped(fare: Money, spent_minor: int, cap: Money | None) -> Money:
    """Tell what of a fare is still to be paid on a day on which `spent_minor` was paid before.

    ValueError if the cap is in another currency.
    """
    if cap is None:
        return fare
    if cap.currency != fare.currency:
        raise ValueError(f"a cap in {cap.currency} over fares in {fare.currency}")
    return Money(min(fare.minor, max(0, cap.minor - spent_minor)), fare.currency)


def day_start_us(at_us: int, zone: ZoneInfo, start: time) -> int:
    """Tell when the service day of a moment began, microseconds since 1970.

    `start` is the local time at which service days change, such as 03:00, when nothing runs. Of an
    hour that comes twice it is the first; in one that is left out, as long after its beginning as
    `start` says: with the clocks going from two to three, 02:30 is 03:30.
    """
    day = datetime.fromtimestamp(at_us // _MICROSECONDS, zone).date()
    begin_us = _begin_us(day, zone, start)
    # Compared as moments: as times of the wall, an hour that comes twice is before itself.
    return begin_us if begin_us <= at_us else _begin_us(day - timedelta(days=1), zone, start)


def _begin_us(day: date, zone: ZoneInfo, start: time) -> int:
    return int(datetime.combine(day, start, zone).timestamp()) * _MICROSECONDS
