"""Claims: one id never works on two shards, in a bounded memory that outlives a restart."""

from __future__ import annotations

import pytest

from server.switch.claims import (
    AGE_LIMIT_US,
    CLOCK_TOLERANCE_US,
    MEMORY_US,
    Claims,
    is_young,
)
from tests.unit.server.domain.commands import NOW_US, fresh_id

SECOND_US = 1_000_000


def test_an_id_belongs_to_the_first_shard() -> None:
    claims, request_id = Claims(NOW_US), fresh_id()
    assert claims.claim(request_id, 3, {3}, NOW_US)
    assert not claims.claim(request_id, 2, {2}, NOW_US)
    assert claims.claim(request_id, 3, {3}, NOW_US)
    assert claims.claim(fresh_id(), 2, {2}, NOW_US)


@pytest.mark.parametrize("begin_us", range(0, 61 * SECOND_US, 10 * SECOND_US))
def test_an_id_is_remembered_while_it_may_be_new(begin_us: int) -> None:
    """Wherever in a generation it was claimed, and while others come in every second."""
    claims = Claims(NOW_US)
    now_us = NOW_US + begin_us
    request_id = fresh_id(now_us + CLOCK_TOLERANCE_US)
    assert claims.claim(request_id, 3, {3}, now_us)
    while is_young(request_id, now_us):
        assert not claims.claim(request_id, 2, {2}, now_us)
        claims.claim(fresh_id(now_us), 1, {1}, now_us)
        now_us += SECOND_US
    assert now_us - NOW_US - begin_us > AGE_LIMIT_US


def test_the_memory_is_bounded() -> None:
    """What is too old to be new again is forgotten."""
    claims = Claims(NOW_US)
    for minute in range(60):
        for _ in range(100):
            now_us = NOW_US + minute * 60 * SECOND_US
            claims.claim(fresh_id(now_us), 1, {1}, now_us)
    assert sum(map(len, claims._generations)) <= 400


def test_what_the_logs_say_is_remembered_after_a_start() -> None:
    claims = Claims(NOW_US)
    ids = [fresh_id() for _ in range(4)]
    claims.restore([ids[:2], [], ids[2:]])
    assert [claims.claim(request_id, 0, {0}, NOW_US) for request_id in ids] == [
        True,
        True,
        False,
        False,
    ]
    later_us = NOW_US + MEMORY_US - 1
    assert [claims.claim(request_id, 2, {2}, later_us) for request_id in ids[2:]] == [True, True]
    assert not claims.claim(ids[2], 1, {1}, later_us)


@pytest.mark.parametrize(
    ("age_us", "young"),
    [
        (0, True),
        (AGE_LIMIT_US - SECOND_US, True),
        (AGE_LIMIT_US + SECOND_US, False),
        (-CLOCK_TOLERANCE_US + SECOND_US, True),
        (-CLOCK_TOLERANCE_US - SECOND_US, False),
        (10 * 365 * 86_400 * SECOND_US, False),
    ],
)
def test_only_a_young_id_may_be_new(age_us: int, young: bool) -> None:
    assert is_young(fresh_id(NOW_US - age_us), NOW_US) == young
