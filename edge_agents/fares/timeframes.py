"""Timeframes of Fares v2: groups of hours on days, by which a fare may begin and end.

https://gtfs.org/documentation/schedule/reference/#timeframestxt. A tap is held against the clock on
the wall where its gate stands, and against the date there, which is not the service day.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from edge_agents.fares.feed import Feed, FeedError, Row

_TIME = re.compile(r"([0-9]{1,2}):([0-9]{2}):([0-9]{2})", re.ASCII)
_DATE = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})", re.ASCII)
_DAY_S = 24 * 3600
_WEEK = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_ADDED, _REMOVED = "1", "2"


@dataclass(frozen=True, slots=True)
class _Span:
    """Seconds of the day from `begin` until before `end`, on the days of a service."""

    begin: int
    end: int
    service: str


class Timeframes:
    """The groups of timeframes of a feed."""

    def __init__(self, feed: Feed) -> None:
        """Read timeframes and calendars; FeedError or KeyError if they cannot be."""
        self._groups: defaultdict[str, list[_Span]] = defaultdict(list)
        rows = feed.rows("timeframes")
        self._days = Days(feed) if rows else None
        for row in rows:
            span = _read_span(row)
            if self._days is not None and not self._days.knows(span.service):
                raise FeedError(f'timeframes.txt has a service "{span.service}", no calendar has')
            self._groups[row["timeframe_group_id"]].append(span)

    @property
    def groups(self) -> set[str]:
        """The timeframe_group_ids."""
        return set(self._groups)

    def holds(self, group: str, at_us: int, zone: ZoneInfo) -> bool:
        """Whether a moment, microseconds since 1970, is in a group; 0 is in each, "" holds all."""
        if not group or not at_us:
            return True
        local = datetime.fromtimestamp(at_us // 1_000_000, zone)
        second = local.hour * 3600 + local.minute * 60 + local.second
        return any(
            span.begin <= second < span.end
            and self._days is not None
            and self._days.run(span.service, local.date())
            for span in self._groups[group]
        )


class Days:
    """On which days services run: calendar.txt, and the exceptions of calendar_dates.txt."""

    def __init__(self, feed: Feed) -> None:
        """Read both tables; FeedError or KeyError if they cannot be."""
        self._weeks = {row["service_id"]: _read_week(row) for row in feed.rows("calendar")}
        self._exceptions: dict[tuple[str, date], bool] = {}
        for row in feed.rows("calendar_dates"):
            if row["exception_type"] not in (_ADDED, _REMOVED):
                raise FeedError(f'"{row["exception_type"]}" in calendar_dates.txt is no exception')
            day = _read_date("calendar_dates", row, "date")
            self._exceptions[row["service_id"], day] = row["exception_type"] == _ADDED
        self._names = self._weeks.keys() | {service for service, _ in self._exceptions}

    def knows(self, service: str) -> bool:
        """Whether a service stands in one of the tables."""
        return service in self._names

    def run(self, service: str, day: date) -> bool:
        """Whether a service runs on a day."""
        exception = self._exceptions.get((service, day))
        if exception is not None:
            return exception
        week = self._weeks.get(service)
        return week is not None and week[0] <= day <= week[1] and week[2][day.weekday()]


def _read_week(row: Row) -> tuple[date, date, tuple[bool, ...]]:
    begin, end = (_read_date("calendar", row, name) for name in ("start_date", "end_date"))
    return begin, end, tuple(row[name] == "1" for name in _WEEK)


def _read_date(table: str, row: Row, column: str) -> date:
    match = _DATE.fullmatch(row[column])
    try:
        if match is not None:
            return date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        pass
    raise FeedError(f'"{row[column]}" in {table}.txt is no {column}')


def _read_span(row: Row) -> _Span:
    begin, end = row.get("start_time", ""), row.get("end_time", "")
    if bool(begin) != bool(end):
        raise FeedError("a row of timeframes.txt has one of start_time and end_time alone")
    span = _Span(
        _read_second(begin) if begin else 0, _read_second(end) if end else _DAY_S, row["service_id"]
    )
    if span.begin >= span.end:
        raise FeedError(f'a timeframe of timeframes.txt ends at "{end}", before it begins')
    return span


def _read_second(text: str) -> int:
    match = _TIME.fullmatch(text)
    if match is not None:
        hour, minute, second = (int(part) for part in match.groups())
        at = hour * 3600 + minute * 60 + second
        if minute < 60 and second < 60 and at <= _DAY_S:
            return at
    raise FeedError(f'"{text}" in timeframes.txt is no time of day')
