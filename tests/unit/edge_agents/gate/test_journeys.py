"""Journeys on paper: read as they were written, and whose an entry believes."""

from __future__ import annotations

import pytest

from edge_agents.fares.journey import Journey
from edge_agents.fares.ride import Ride
from edge_agents.gate.admission import EntryGates, Refused
from edge_agents.gate.fare_lines import fare_lines
from edge_agents.gate.journeys import RIDES_LIMIT, from_proto, to_proto, write_journey_note
from edge_agents.gate.rules import Charge
from kessai.envelope import read_verified
from kessai.money import Money
from kessai.v1.fare_pb2 import JourneyNote
from tests.unit.edge_agents.gate.test_admission import gate

TERMINAL = gate("out")
HOLDER, OTHER = b"h" * 65, b"o" * 65
S = 1_000_000
RIDE = Ride("a", "b", 1_790_000_000 * S, 1_790_000_900 * S)
JOURNEY = Journey((RIDE,), 180)


def test_a_journey_is_read_as_it_was_written() -> None:
    assert from_proto(to_proto(JOURNEY, "EUR"), "EUR") == JOURNEY
    assert from_proto(to_proto(JOURNEY, "EUR"), "USD") == Journey()
    assert from_proto(JourneyNote().journey, "EUR") == Journey()


def test_a_journey_of_too_many_rides_begins_anew() -> None:
    assert write_journey_note(Journey((RIDE,) * RIDES_LIMIT, 0), "EUR", HOLDER, TERMINAL) is None
    long = to_proto(Journey((RIDE,) * (RIDES_LIMIT + 1), 0), "EUR")
    assert from_proto(long, "EUR") == Journey()


def test_a_journey_is_believed_of_its_holder_alone() -> None:
    note = write_journey_note(JOURNEY, "EUR", HOLDER, TERMINAL)
    assert note is not None
    gates = EntryGates(TERMINAL)
    assert gates.open_journey(note, HOLDER) == read_verified(note, JourneyNote).journey
    with pytest.raises(Refused):
        gates.open_journey(note, OTHER)
    note.payload += b"\0"
    with pytest.raises(Refused):
        gates.open_journey(note, HOLDER)
    empty = write_journey_note(Journey(), "EUR", HOLDER, TERMINAL)
    assert empty is not None
    with pytest.raises(Refused):
        gates.open_journey(empty, HOLDER)


@pytest.mark.parametrize(
    ("due", "lines"),
    [
        (220, [("A - C", 320), ("Transfer from A - B", -100)]),
        (200, [("A - C", 320), ("Transfer from A - B", -100), ("Cap of the day", -20)]),
    ],
)
def test_the_lines_of_a_transfer(due: int, lines: list[tuple[str, int]]) -> None:
    journey = Journey((RIDE, Ride("a", "c", 0, 0)), 400)
    charge = Charge(Money(due, "EUR"), 0, False, journey, 320, 220)
    made = fare_lines(charge, "a", "c", str.upper)
    assert [(item.description, item.unit_price_minor) for item in made] == lines


def test_a_ride_of_its_own_has_one_line() -> None:
    charge = Charge(Money(200, "EUR"), 0, False, JOURNEY, 320, 320)
    assert [item.description for item in fare_lines(charge, "a", "b", str.upper)] == ["A - B"]
    assert [item.description for item in fare_lines(charge, "", "b", str.upper)] == ["Ride, B"]
