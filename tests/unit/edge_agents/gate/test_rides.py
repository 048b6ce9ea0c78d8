"""The rides of a gate: what is kept, also after a restart, and what stays."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from edge_agents.gate.rides import FILE_NAME, Rides, UnpricedRide
from kessai.complaint import Complaint
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.fare_pb2 import Admission

RIDE, OTHER, HOLDER = b"r" * 16, b"o" * 16, b"h" * 65
NOTE, LATER_NOTE = Signed(type="exit-note"), Signed(type="later")


@pytest.fixture
def rides(tmp_path: Path) -> Iterator[Rides]:
    with closing(Rides(tmp_path)) as made:
        yield made


def test_the_newest_entry_of_a_holder(rides: Rides) -> None:
    assert rides.newest_entry(HOLDER) is None
    rides.admit(RIDE, HOLDER, Signed(type="first"), 1)
    rides.admit(OTHER, HOLDER, Signed(type="second"), 2)
    rides.mark_entered(OTHER, 3)
    entry = rides.newest_entry(HOLDER)
    assert entry is not None
    assert (entry.admission.type, entry.issue_us, entry.pass_us) == ("second", 2, 3)


def test_an_exit_from_request_to_passage(rides: Rides) -> None:
    rides.begin_exit(RIDE, HOLDER, b"1", 1)
    rides.begin_exit(RIDE, HOLDER, b"2", 1)
    assert rides.paid_and_inside(HOLDER, 0) is None
    rides.end_ride(RIDE, HOLDER, NOTE, 5)
    rides.end_ride(RIDE, HOLDER, LATER_NOTE, 6)
    inside = rides.paid_and_inside(HOLDER, 5)
    assert inside is not None
    assert (inside.admission_id, inside.request_id, inside.note) == (RIDE, b"2", NOTE)
    assert rides.paid_and_inside(HOLDER, 6) is None
    rides.mark_left(RIDE, 7)
    assert rides.paid_and_inside(HOLDER, 0) is None
    left = rides.find_exit(RIDE)
    assert left is not None
    assert left.pass_us == 7


def test_what_was_written_is_there_after_a_restart(tmp_path: Path) -> None:
    with closing(Rides(tmp_path)) as before:
        before.end_ride(RIDE, HOLDER, NOTE, 5)
    with closing(Rides(tmp_path)) as after:
        assert after.find_exit(RIDE) is not None
        assert after.find_exit(OTHER) is None


def test_a_disk_that_fails_ends_the_gate(tmp_path: Path) -> None:
    failures: list[sqlite3.Error] = []
    rides = Rides(tmp_path, failures.append)
    rides.close()
    with pytest.raises(sqlite3.ProgrammingError):
        rides.admit(RIDE, HOLDER, NOTE, 1)
    assert failures


def test_a_damaged_file_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"not a database" * 100)
    with pytest.raises(Complaint, match="cannot be opened"):
        Rides(tmp_path)


def test_a_ride_without_a_fare_is_listed_until_it_is_cleared(rides: Rides) -> None:
    admission = Admission(admission_id=RIDE, station_id="a")
    rides.keep_unpriced(admission, 5)
    rides.keep_unpriced(admission, 6)
    assert rides.unpriced() == [UnpricedRide(admission, 5)]
    assert not rides.clear_unpriced(OTHER, 7)
    assert rides.clear_unpriced(RIDE, 7)
    assert not rides.clear_unpriced(RIDE, 8)
    assert rides.unpriced() == []


def test_a_fare_is_of_the_moment_that_it_was_first_asked_for(rides: Rides) -> None:
    """A second request, after the first came to nothing, is for the same."""
    assert rides.asked_us(RIDE) == 0
    rides.begin_exit(RIDE, HOLDER, b"1", 5)
    rides.begin_exit(RIDE, HOLDER, b"2", 9)
    assert rides.asked_us(RIDE) == 5
