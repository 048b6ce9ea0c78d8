"""What one operator may pay out in a day: counted once, by all threads, over restarts."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kessai.money import Money
from server.identity.cash_limit import CashLimit
from server.identity.refusals import DailyLimitReached, RequestIdReused
from tests.unit.server.ports import DAY_US, Switch

JOE, ACCOUNT = "operator/joe", 100_000_042


@pytest.fixture
def switch(tmp_path: Path) -> Iterator[Switch]:
    """The parts of a switch."""
    made = Switch(tmp_path)
    yield made
    made.directory.close()


def limit_of(switch: Switch) -> CashLimit:
    """Ten euros a day."""
    return CashLimit(switch.directory.file, lambda _: 1000, switch.clock)


def euros(minor: int) -> Money:
    """Cents."""
    return Money(minor, "EUR")


def test_a_day_has_so_much(switch: Switch, tmp_path: Path) -> None:
    """To the cent; by operator and currency; also after a restart; tomorrow there is more."""
    limit, first = limit_of(switch), switch.request_id()
    limit.count(JOE, first, ACCOUNT, euros(600))
    limit.count(JOE, first, ACCOUNT, euros(600))
    limit.count(JOE, switch.request_id(), ACCOUNT, euros(400))
    for amount in (euros(1), euros(2**63 - 1)):
        with pytest.raises(DailyLimitReached, match=r"0\.00 EUR more"):
            limit.count(JOE, switch.request_id(), ACCOUNT, amount)
    limit.count(JOE, first, ACCOUNT, euros(600))
    limit.count(JOE, switch.request_id(), ACCOUNT, Money(1000, "CHF"))
    limit.count("operator/ann", switch.request_id(), ACCOUNT, euros(1000))
    switch.directory.close()
    again = Switch(tmp_path)
    with pytest.raises(DailyLimitReached):
        limit_of(again).count(JOE, again.request_id(), ACCOUNT, euros(1))
    again.clock.ahead_us = DAY_US
    limit_of(again).count(JOE, again.request_id(), ACCOUNT, euros(1000))
    again.directory.close()


def test_an_id_counts_for_one_withdrawal_only(switch: Switch) -> None:
    """Else a small one that was counted would let a large one pass."""
    limit, request_id = limit_of(switch), switch.request_id()
    limit.count(JOE, request_id, ACCOUNT, euros(1))
    for account, amount in ((ACCOUNT, euros(900)), (ACCOUNT + 1, euros(1))):
        with pytest.raises(RequestIdReused):
            limit.count(JOE, request_id, account, amount)
    with pytest.raises(RequestIdReused):
        limit.count("operator/ann", request_id, ACCOUNT, euros(1))


def test_what_was_declined_does_not_count(switch: Switch) -> None:
    """No money was moved."""
    limit, request_id = limit_of(switch), switch.request_id()
    limit.count(JOE, request_id, ACCOUNT, euros(1000))
    limit.forget(request_id)
    limit.count(JOE, switch.request_id(), ACCOUNT, euros(1000))


def test_many_at_once_get_no_more(switch: Switch) -> None:
    """Forty threads ask for a tenth each: ten get it."""
    limit = limit_of(switch)

    def counted(_: int) -> bool:
        try:
            limit.count(JOE, switch.request_id(), ACCOUNT, euros(100))
        except DailyLimitReached:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(counted, range(40))) == 10
