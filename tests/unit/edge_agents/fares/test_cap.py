"""Daily caps, and where a service day begins, also when the clocks change."""

from __future__ import annotations

from datetime import datetime, time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agents.fares.cap import capped, day_start_us
from kessai.money import Money

BERLIN = ZoneInfo("Europe/Berlin")
MINOR = st.integers(0, 10**9)


@given(st.lists(MINOR, max_size=30), MINOR)
def test_a_day_never_costs_more_than_the_cap_and_never_more_than_its_rides(
    fares: list[int], cap: int
) -> None:
    spent = 0
    for minor in fares:
        spent += capped(Money(minor, "EUR"), spent, Money(cap, "EUR")).minor
    assert spent == min(sum(fares), cap)


@given(MINOR, MINOR, MINOR, MINOR)
def test_a_dearer_ride_or_a_higher_cap_never_costs_less(
    minor: int, spent: int, cap: int, more: int
) -> None:
    cost = capped(Money(minor, "EUR"), spent, Money(cap, "EUR")).minor
    assert 0 <= cost <= minor
    assert capped(Money(minor + more, "EUR"), spent, Money(cap, "EUR")).minor >= cost
    assert capped(Money(minor, "EUR"), spent, Money(cap + more, "EUR")).minor >= cost
    assert capped(Money(minor, "EUR"), spent + more, Money(cap, "EUR")).minor <= cost


def test_without_a_cap_every_ride_is_paid() -> None:
    assert capped(Money(320, "EUR"), 10**6, None) == Money(320, "EUR")


def test_a_cap_in_another_currency_is_no_cap() -> None:
    with pytest.raises(ValueError, match="USD"):
        capped(Money(320, "EUR"), 0, Money(700, "USD"))


@pytest.mark.parametrize(
    ("at", "begin"),
    [
        ("2026-11-20T12:00+01:00", "2026-11-20T03:00+01:00"),
        ("2026-11-20T02:59+01:00", "2026-11-19T03:00+01:00"),
        ("2026-11-20T03:00+01:00", "2026-11-20T03:00+01:00"),
        ("2026-03-29T12:00+02:00", "2026-03-29T03:00+02:00"),  # clocks went forward at two
        ("2026-10-25T12:00+01:00", "2026-10-25T03:00+01:00"),  # and back at three
    ],
)
def test_the_service_day(at: str, begin: str) -> None:
    at_us = int(datetime.fromisoformat(at).timestamp()) * 1_000_000
    expected = int(datetime.fromisoformat(begin).timestamp()) * 1_000_000
    assert day_start_us(at_us, BERLIN, time(3)) == expected


@given(st.integers(0, 2_000_000_000_000_000))
def test_a_service_day_holds_its_moment(at_us: int) -> None:
    begin = day_start_us(at_us, BERLIN, time(3))
    assert begin <= at_us < begin + 25 * 3600 * 1_000_000


@pytest.mark.parametrize(
    ("at", "begin"),
    [
        # 25 October: from 03:00 summer time back to 02:00; 02:30 comes twice.
        ("2026-10-25T02:29+02:00", "2026-10-24T02:30+02:00"),
        ("2026-10-25T02:30+02:00", "2026-10-25T02:30+02:00"),
        ("2026-10-25T02:15+01:00", "2026-10-25T02:30+02:00"),
        ("2026-10-25T02:30+01:00", "2026-10-25T02:30+02:00"),
        ("2026-10-26T02:29+01:00", "2026-10-25T02:30+02:00"),
        ("2026-10-26T02:30+01:00", "2026-10-26T02:30+01:00"),
        # 29 March: from 02:00 to 03:00 summer time; there is no 02:30.
        ("2026-03-29T01:59+01:00", "2026-03-28T02:30+01:00"),
        ("2026-03-29T03:00+02:00", "2026-03-28T02:30+01:00"),
        ("2026-03-29T03:29+02:00", "2026-03-28T02:30+01:00"),
        ("2026-03-29T03:30+02:00", "2026-03-29T03:30+02:00"),
        ("2026-03-30T02:29+02:00", "2026-03-29T03:30+02:00"),
        ("2026-03-30T02:30+02:00", "2026-03-30T02:30+02:00"),
    ],
)
def test_a_service_day_that_begins_while_the_clocks_change(at: str, begin: str) -> None:
    """It begins once, and never after a moment that it holds."""
    at_us = int(datetime.fromisoformat(at).timestamp()) * 1_000_000
    expected_us = int(datetime.fromisoformat(begin).timestamp()) * 1_000_000
    assert day_start_us(at_us, BERLIN, time(2, 30)) == expected_us


@given(st.datetimes(datetime(2026, 3, 27), datetime(2026, 10, 28)), st.times())
def test_service_days_follow_each_other(at: datetime, start: time) -> None:
    """Whatever the hour: a day holds its moment, and later moments are of no earlier day."""
    at_us = int(at.timestamp()) * 1_000_000
    begin_us = day_start_us(at_us, BERLIN, start)
    assert begin_us <= at_us < begin_us + 26 * 3_600_000_000
    assert day_start_us(at_us + 1_800_000_000, BERLIN, start) >= begin_us
