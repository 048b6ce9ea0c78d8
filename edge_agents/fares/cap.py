"""Daily caps: from when on a rider travels free for the rest of the day.

Pure; called by the gate when it works out what a ride costs.
"""

from __future__ import annotations

from datetime import datetime, time, timedelta
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

    `start` is the local time at which service days change, such as 03:00, when nothing runs.
    """
    moment = datetime.fromtimestamp(at_us // _MICROSECONDS, zone)
    begin = datetime.combine(moment.date(), start, zone)
    if begin > moment:
        begin = datetime.combine(moment.date() - timedelta(days=1), start, zone)
    return int(begin.timestamp()) * _MICROSECONDS
