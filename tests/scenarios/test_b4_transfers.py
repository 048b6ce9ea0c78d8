"""Row B4, transfers: what a ride costs after another one, with and without the switch."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from simulators.phone.admissions import FILE_NAME
from simulators.phone.misbehaviour import Misbehaviour
from tests.scenarios.radios import Radio
from tests.scenarios.railway import Gate, Passenger, Railway, write_transfer_feed

CITY, AIRPORT, OFF = 180, 320, 100


@pytest.fixture(scope="module")
def radio(radios: dict[str, Radio]) -> Radio:
    """Give one radio: the documents are the same on every one."""
    return radios["nfc"]


@pytest.fixture(scope="module")
def settings(railway: Railway) -> str:
    """What all gates of the line say: its feed, and that they may decide without the switch."""
    feed = write_transfer_feed(railway.folder)
    return f'{feed}\noffline_days = 7\npassback_seconds = 0\ndaily_cap = "6.00"'


@pytest.fixture(scope="module")
def harbour(railway: Railway, radio: Radio, settings: str) -> Gate:
    return railway.gate(radio, "entry", "harbour", settings)


@pytest.fixture(scope="module")
def central(railway: Railway, radio: Radio, settings: str) -> Gate:
    return railway.gate(radio, "exit", "central", settings)


@pytest.fixture(scope="module")
def airport(railway: Railway, radio: Radio, settings: str) -> Gate:
    return railway.gate(radio, "exit", "airport", settings)


def ride(passenger: Passenger, *gates: Gate) -> str:
    """Go in and out; the last page says what it cost."""
    for gate in gates:
        page = gate.let_through(passenger)
    return page.total


def test_a_transfer_costs_less_and_says_so(
    railway: Railway, harbour: Gate, central: Gate, airport: Gate
) -> None:
    """In the receipt's lines; the cap of the day lies over it."""
    rider = railway.passenger("rider", 100_00)
    assert ride(rider, harbour, central) == "1.80 EUR"
    assert ride(rider, harbour, airport) == "2.20 EUR"
    items = airport.journal()[0].pending.request.items
    assert [(item.description, item.unit_price_minor) for item in items] == [
        ("Harbour - Airport", AIRPORT),
        ("Transfer from Harbour - Central", -OFF),
    ]
    assert ride(rider, harbour, airport) == "2.00 EUR"  # a journey of its own, up to the cap
    assert railway.balance(rider) == 100_00 - 600


def test_a_free_transfer_once(railway: Railway, harbour: Gate, central: Gate) -> None:
    rider = railway.passenger("rider", 100_00)
    totals = [ride(rider, harbour, central) for _ in range(3)]
    assert totals == ["1.80 EUR", "0.00 EUR", "1.80 EUR"]
    assert railway.balance(rider) == 100_00 - 2 * CITY


def test_a_transfer_without_the_switch(
    railway: Railway, harbour: Gate, central: Gate, airport: Gate
) -> None:
    """The next exit knows from the admission what was before; both fares are settled later."""
    rider = railway.passenger("rider", 100_00)
    railway.switch.kill()
    for gate in (harbour, central, airport):
        gate.steps.next("out_of_touch")
    ride(rider, harbour, central)
    ride(rider, harbour, airport)
    railway.switch.restart()
    for gate in (central, airport):
        gate.steps.next("settled")
    assert railway.balance(rider) == 100_00 - CITY - AIRPORT + OFF


def test_a_journey_of_somebody_else(
    railway: Railway, harbour: Gate, central: Gate, airport: Gate
) -> None:
    """It is bound to the holder's key: the thief enters, and pays in full."""
    owner, thief = (railway.passenger(name, 100_00) for name in ("owner", "thief"))
    ride(owner, harbour, central)
    with closing(sqlite3.connect(owner.folder / FILE_NAME)) as book:
        taken = book.execute("SELECT * FROM journey").fetchone()
    thief.rides()
    thief.change_rides("INSERT INTO journey VALUES (?, ?, ?)", *taken)
    assert ride(thief, harbour, airport) == "3.20 EUR"
    refused = harbour.steps.latest("journey_refused", since="started")
    assert refused["reason"] == "ADMISSION_INVALID"
    assert ride(owner, harbour, airport) == "2.20 EUR"


def test_a_journey_shown_twice(
    railway: Railway, harbour: Gate, central: Gate, airport: Gate
) -> None:
    """Put back into the phone after it was used."""
    again = railway.passenger("again", 100_00)
    ride(again, harbour, central)
    with closing(sqlite3.connect(again.folder / FILE_NAME)) as book:
        used = book.execute("SELECT * FROM journey").fetchone()
    assert ride(again, harbour, airport) == "2.20 EUR"
    again.change_rides("INSERT OR REPLACE INTO journey VALUES (?, ?, ?)", *used)
    harbour.let_through(again)
    refused = harbour.steps.latest("journey_refused", since="started")
    assert refused["reason"] == "ADMISSION_USED"


def test_a_phone_that_missed_the_end_of_its_ride(
    railway: Railway, harbour: Gate, central: Gate, airport: Gate
) -> None:
    """Tapped again where it left, it still gets the note, and nothing is paid twice."""
    hasty = railway.passenger("hasty", 100_00)
    harbour.let_through(hasty)
    central_openings = central.barrier.openings
    hasty.tap(central, Misbehaviour(leave_after_exchanges=3), stay_s=3)
    central.steps.next("nobody_passed")
    assert central.barrier.openings == central_openings + 1
    ride(hasty, central)
    assert ride(hasty, harbour, airport) == "2.20 EUR"
    assert railway.balance(hasty) == 100_00 - CITY - AIRPORT + OFF
