"""The entrance's book: states outlive restarts, counts are exact, uploads are in order."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_agents.entrance.book import EntranceBook, EntryState
from kessai.v1 import decline_pb2 as d
from tests.unit.edge_agents.entrance.parties import Venue, entry


@pytest.fixture
def venue(tmp_path: Path) -> Venue:
    return Venue(tmp_path)


def reopened(book: EntranceBook, folder: Path) -> EntranceBook:
    """Close a book and open it again, as after a restart."""
    book.close()
    return EntranceBook(folder)


def test_entries_wait_in_order_until_the_switch_has_them(venue: Venue, tmp_path: Path) -> None:
    """Only what passed is told; what was told is not told again, also after a restart."""
    book = EntranceBook(tmp_path)
    entries = [entry(venue.ticket()) for _ in range(4)]
    for each in entries:
        book.ask(each)
    for each in entries[:3]:
        book.move(each.request_id, EntryState.ADMITTED)
    for each in (entries[1], entries[0]):
        book.move(each.request_id, EntryState.PASSED)
    book = reopened(book, tmp_path)
    assert book.waiting(10) == entries[:2]
    assert book.waiting(1) == entries[:1]
    assert book.in_state(EntryState.ADMITTED) == [entries[2]]
    assert book.in_state(EntryState.ASKED) == [entries[3]]
    book.mark_uploaded(entries[0].request_id, d.DECLINE_REASON_TICKET_USED)
    book = reopened(book, tmp_path)
    assert book.waiting(10) == entries[1:2]
    book.close()


def test_persons_are_counted_up_to_what_the_ticket_admits(venue: Venue, tmp_path: Path) -> None:
    """The same entry again is counted once; what is taken back may go in again."""
    book, group = EntranceBook(tmp_path), venue.ticket(admits=5)
    three, two, one = entry(group, 3), entry(group, 2), entry(group)
    ticket = three.ticket_id
    assert book.count_in(three.request_id, ticket, 3, 5) == 2
    book = reopened(book, tmp_path)
    assert book.count_in(three.request_id, ticket, 3, 5) == 2
    assert book.count_in(two.request_id, ticket, 2, 5) == 0
    assert book.count_in(one.request_id, ticket, 1, 5) is None
    book.take_back(two.request_id)
    book.take_back(two.request_id)
    assert book.count_in(one.request_id, ticket, 1, 5) == 1
    book.close()


def test_a_failed_write_ends_the_entrance(venue: Venue, tmp_path: Path) -> None:
    """Whichever it is: nobody is let in, or counted, by a book of which nobody knows the state."""
    ended: list[sqlite3.Error] = []
    book, one = EntranceBook(tmp_path, ended.append), entry(venue.ticket())
    book._db.execute("PRAGMA query_only = ON")
    writes: list[Callable[[], object]] = [
        lambda: book.ask(one),
        lambda: book.move(one.request_id, EntryState.ADMITTED),
        lambda: book.count_in(one.request_id, one.ticket_id, 1, 5),
        lambda: book.take_back(one.request_id),
    ]
    for number, write in enumerate(writes, 1):
        with pytest.raises(sqlite3.Error):
            write()
        assert len(ended) == number
        assert not book._db.in_transaction
    book.close()


def test_what_was_decided_alone_is_told_to_the_hub(venue: Venue, tmp_path: Path) -> None:
    """Only what passed, until the hub has heard of it."""
    book = EntranceBook(tmp_path)
    passed, given_back = entry(venue.ticket()), entry(venue.ticket())
    for each, state in ((passed, EntryState.PASSED), (given_back, EntryState.GIVEN_BACK)):
        book.ask(each)
        book.move(each.request_id, EntryState.ASKED, alone=True)
        book.move(each.request_id, state)
    assert [each.request_id for each in book.decided_alone()] == [passed.request_id]
    book.hub_heard(passed.request_id)
    assert book.decided_alone() == []
    book.close()
