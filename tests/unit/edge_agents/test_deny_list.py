"""The terminal's copy of the deny list: what is taken stays, and its age is told truthfully."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agents.deny_list import CLOCK_TOLERANCE_US, CREDENTIAL, FILE_NAME, TICKET, DenyList
from kessai.complaint import Complaint
from kessai.v1.fleet_pb2 import DenyListUpdate

NOW_US = 1_800_000_000_000_000
HOUR_US = 3_600_000_000
YEAR_US = 365 * 24 * HOUR_US


def update(version: int, *ids: bytes, complete: bool = True, expire_us: int = 0) -> DenyListUpdate:
    """Say that credentials are denied."""
    said = DenyListUpdate(version=version, complete=complete)
    for entry_id in ids:
        entry = said.entries.add(kind=CREDENTIAL, id=entry_id)
        entry.expire_time.FromMicroseconds(expire_us or NOW_US + 1_000_000)
    return said


def test_what_is_denied_is_turned_away(tmp_path: Path) -> None:
    """By kind and id; also after a restart, from what is on the disk."""
    denied = DenyList(tmp_path)
    assert (denied.version, denied.as_of_us) == (0, 0)
    denied.take(update(7, b"a", b"b"), NOW_US)
    denied.take(update(8, b"a"), NOW_US + 5)
    denied.close()
    again = DenyList(tmp_path)
    assert again.is_denied(CREDENTIAL, b"a")
    assert again.is_denied(CREDENTIAL, b"b")
    assert not again.is_denied(TICKET, b"a")
    assert (again.version, again.as_of_us) == (8, NOW_US + 5)


def test_only_a_complete_copy_is_fresh(tmp_path: Path) -> None:
    """While pages are missing the copy is as old as it was."""
    denied = DenyList(tmp_path)
    denied.take(update(1, b"a"), NOW_US)
    denied.take(update(2, b"b", complete=False), NOW_US + 9)
    assert (denied.version, denied.as_of_us) == (2, NOW_US)
    denied.take(update(2), NOW_US + 20)
    assert denied.as_of_us == NOW_US + 20


def test_what_has_expired_is_forgotten(tmp_path: Path) -> None:
    """In memory and on the disk."""
    denied = DenyList(tmp_path)
    denied.take(update(1, b"a", expire_us=NOW_US + 10), NOW_US)
    denied.take(update(2, b"b"), NOW_US + 10)
    assert not denied.is_denied(CREDENTIAL, b"a")
    denied.close()
    assert not DenyList(tmp_path).is_denied(CREDENTIAL, b"a")


def test_the_future_is_not_fresh(tmp_path: Path) -> None:
    """Of a clock that was a year ahead, nor what was never confirmed; a minute is no matter."""
    denied = DenyList(tmp_path)
    assert denied.is_stale(HOUR_US, NOW_US)
    denied.take(update(1, b"a"), NOW_US)
    for now_us, stale in (
        (NOW_US, False),
        (NOW_US + HOUR_US, False),
        (NOW_US + HOUR_US + 1, True),
        (NOW_US - CLOCK_TOLERANCE_US, False),
        (NOW_US - CLOCK_TOLERANCE_US - 1, True),
        (NOW_US - YEAR_US, True),
    ):
        assert denied.is_stale(HOUR_US, now_us) is stale


def test_what_a_clock_ahead_forgot_is_asked_for_again(tmp_path: Path) -> None:
    """The lost phone expired next week, and the clock was a year ahead; also after a restart."""
    week_us = 7 * 24 * HOUR_US
    denied = DenyList(tmp_path)
    denied.take(update(1, b"a", b"b", expire_us=NOW_US + week_us), NOW_US)
    assert not denied.begin_anew(NOW_US)
    denied.take(update(1), NOW_US + YEAR_US)
    assert not denied.is_denied(CREDENTIAL, b"a")
    denied.close()
    again = DenyList(tmp_path)
    assert again.begin_anew(NOW_US)
    assert (again.version, again.is_stale(HOUR_US, NOW_US)) == (0, True)
    again.take(update(1, b"a", b"b", expire_us=NOW_US + week_us), NOW_US)
    assert again.is_denied(CREDENTIAL, b"a")
    assert not again.begin_anew(NOW_US)
    assert not again.is_stale(HOUR_US, NOW_US)


def test_nothing_is_forgotten_by_a_page_that_more_follow(tmp_path: Path) -> None:
    """Its time is not kept, so nobody could tell by which clock it was."""
    denied = DenyList(tmp_path)
    denied.take(update(1, b"a", complete=False), NOW_US + YEAR_US)
    assert denied.is_denied(CREDENTIAL, b"a")


def test_a_terminal_that_was_refused_asks_for_everything_again(tmp_path: Path) -> None:
    denied = DenyList(tmp_path)
    denied.take(update(3, b"a"), NOW_US)
    denied.refuse()
    assert (denied.version, denied.is_denied(CREDENTIAL, b"a")) == (0, True)
    assert denied.is_stale(YEAR_US, NOW_US)


def test_a_damaged_file_is_a_complaint(tmp_path: Path) -> None:
    """It says what to do; nothing is made up in its place."""
    (tmp_path / FILE_NAME).write_bytes(b"no database at all, but long enough to be looked at" * 99)
    with pytest.raises(Complaint, match="Delete it"):
        DenyList(tmp_path)
