"""What a door knows by itself: each check, and what the switch's word adds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agents.deny_list import DenyList
from edge_agents.entrance.verdict import COME_IN, Doorkeeper, judge_state
from kessai.decline import name_of
from kessai.v1.decline_pb2 import DeclineReason
from kessai.v1.fleet_pb2 import DENY_KIND_TICKET, DenyListEntry, DenyListUpdate
from kessai.v1.ticket_pb2 import Ticket, TicketState
from tests.unit.edge_agents.entrance.parties import HOUR_US, VENUE, Venue, now_us


@pytest.fixture
def deny_list(tmp_path: Path) -> Iterator[DenyList]:
    opened = DenyList(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def ticket(tmp_path: Path) -> Ticket:
    """A ticket for one, valid from an hour ago until in an hour."""
    return Ticket.FromString(Venue(tmp_path).ticket().payload)


def keeper(deny_list: DenyList, after_us: int = 0, venue: str = VENUE) -> Doorkeeper:
    """A door for two events, at some time from now."""
    return Doorkeeper(venue, ("concert", "museum"), deny_list, 24, lambda: now_us() + after_us)


def said(reason: DeclineReason.ValueType) -> str:
    return "" if reason == COME_IN else name_of(reason)


def test_a_good_ticket(deny_list: DenyList, ticket: Ticket) -> None:
    assert said(keeper(deny_list).judge(ticket, 1)) == ""


def test_each_check(deny_list: DenyList, ticket: Ticket) -> None:
    assert said(keeper(deny_list, venue="cinema").judge(ticket, 1)) == "TICKET_INVALID"
    assert said(keeper(deny_list, after_us=HOUR_US).judge(ticket, 1)) == "TICKET_NOT_IN_TIME"
    assert said(keeper(deny_list, after_us=-2 * HOUR_US).judge(ticket, 1)) == "TICKET_NOT_IN_TIME"
    assert said(keeper(deny_list).judge(ticket, 2)) == "TICKET_USED"
    ticket.offer.event_id = "opera"
    assert said(keeper(deny_list).judge(ticket, 1)) == "TICKET_INVALID"


def test_a_denied_ticket_and_an_old_list(deny_list: DenyList, ticket: Ticket) -> None:
    """A list that the switch did not confirm for a day is too old to go by."""
    assert keeper(deny_list).is_deny_list_too_old()
    entry = DenyListEntry(kind=DENY_KIND_TICKET, id=ticket.ticket_id)
    entry.expire_time.FromMicroseconds(now_us() + HOUR_US)
    deny_list.take(DenyListUpdate(version=1, entries=[entry], complete=True), now_us())
    assert said(keeper(deny_list).judge(ticket, 1)) == "TICKET_REVOKED"
    assert not keeper(deny_list, 23 * HOUR_US).is_deny_list_too_old()
    assert keeper(deny_list, 25 * HOUR_US).is_deny_list_too_old()


@pytest.mark.parametrize(("state", "reason"), [
    (TicketState(), ""),
    (TicketState(refunded=True), "TICKET_REFUNDED"),
    (TicketState(revoked=True), "TICKET_REVOKED"),
    (TicketState(persons_in=1), "TICKET_USED"),
])  # fmt: skip
def test_what_the_switch_knows(ticket: Ticket, state: TicketState, reason: str) -> None:
    assert said(judge_state(state, ticket, 1)) == reason
