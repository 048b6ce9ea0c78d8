"""Row B4, the carrier's rules and what breaks: caps, missing taps, barriers, kills, no line."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing

import pytest

from edge_agents.gate.rides import FILE_NAME
from simulators.devices.barrier import BarrierFault
from simulators.phone.screen import View
from tests.running import kessai
from tests.scenarios.radios import Radio
from tests.scenarios.railway import FARE, MERCHANT, Gate, Railway


@pytest.fixture(scope="module")
def radio(radios: dict[str, Radio]) -> Radio:
    """Give one radio: the rules are the same on every one; `far_exit` has the other."""
    return radios["nfc"]


@pytest.fixture(scope="module")
def harbour(railway: Railway, radio: Radio) -> Gate:
    """An entry at Harbour with every rule."""
    rules = 'daily_cap = "5.00"\nmissing_exit_fare = "9.00"\npassback_seconds = 0'
    return railway.gate(radio, "entry", "harbour", rules)


@pytest.fixture(scope="module")
def airport(railway: Railway, radio: Radio) -> Gate:
    """An exit at Airport with every rule."""
    rules = 'daily_cap = "5.00"\nmissing_entry_fare = "9.00"\nopen_seconds = 2'
    return railway.gate(radio, "exit", "airport", rules)


@pytest.fixture(scope="module")
def far_entry(railway: Railway, radio: Radio) -> Gate:
    """An entry that may decide without the switch."""
    return railway.gate(radio, "entry", "harbour", "offline_days = 7\npassback_seconds = 0")


@pytest.fixture(scope="module")
def far_exit(railway: Railway, radios: dict[str, Radio]) -> Gate:
    """An exit over BLE that may decide without the switch."""
    return railway.gate(radios["ble"], "exit", "airport", "offline_days = 7")


def test_a_daily_cap(railway: Railway, harbour: Gate, airport: Gate) -> None:
    """3.20, then the rest of 5.00, then nothing."""
    often = railway.passenger("often", 100_00)
    totals = []
    for _ in range(3):
        harbour.let_through(often)
        totals.append(airport.let_through(often).total)
    assert totals == ["3.20 EUR", "1.80 EUR", "0.00 EUR"]
    assert railway.balance(often) == 100_00 - 500


def test_a_missing_tap_at_the_entry(railway: Railway, airport: Gate) -> None:
    """The exit charges what the carrier set, once, also when the first tap is torn off."""
    jumper = railway.passenger("jumper", 100_00)
    page = airport.let_through(jumper)
    assert (page.view, page.total) == (View.RIDE_OVER, "9.00 EUR")
    assert railway.balance(jumper) == 100_00 - 900


def test_a_missing_tap_at_the_exit(railway: Railway, harbour: Gate, airport: Gate) -> None:
    """The next entry charges what the carrier set, and lets him in in the same tap."""
    climber = railway.passenger("climber", 100_00)
    harbour.let_through(climber)
    assert harbour.let_through(climber).view is View.ADMITTED
    assert railway.balance(climber) == 100_00 - 900
    assert airport.let_through(climber).total == "0.00 EUR"  # the cap of the day is reached


def test_a_ride_that_never_ended_where_nothing_is_charged_for_it(
    railway: Railway, far_entry: Gate
) -> None:
    """The carrier has no fare for it: he is sent to the attendant."""
    climber = railway.passenger("climber", 100_00)
    far_entry.let_through(climber)
    far_entry.turn_away(climber, "ADMISSION_OPEN")
    assert railway.balance(climber) == 100_00


def test_a_phone_that_missed_the_end_of_its_ride(
    railway: Railway, harbour: Gate, airport: Gate
) -> None:
    """The switch knows that the fare was paid: he pays nothing more, and comes in."""
    absent = railway.passenger("absent", 100_00)
    harbour.let_through(absent)
    airport.let_through(absent)
    absent.reopen_rides()
    assert harbour.let_through(absent).view is View.ADMITTED
    assert railway.balance(absent) == 100_00 - FARE
    assert [ride.note is None for ride in absent.rides()] == [True, False]


@pytest.mark.parametrize(
    "fault", [BarrierFault.JAM, BarrierFault.SILENT, BarrierFault.GARBAGE], ids=str
)
def test_a_barrier_that_fails_takes_no_money(
    railway: Railway, harbour: Gate, airport: Gate, fault: BarrierFault
) -> None:
    """The exit says so before it asks; repaired, it goes on by itself."""
    stuck = railway.passenger("stuck", 100_00)
    harbour.let_through(stuck)
    airport.barrier.set_fault(fault)
    airport.steps.next("device_lost", "barrier_failed")
    stuck.tap(airport, stay_s=3)
    assert airport.refusal()["reason"] == "GATE_BLOCKED"
    assert railway.balance(stuck) == 100_00
    airport.barrier.set_fault(BarrierFault.NONE)
    airport.steps.next("device_back")
    assert airport.let_through(stuck).view is View.RIDE_OVER
    assert railway.balance(stuck) == 100_00 - FARE


def test_a_barrier_that_is_unplugged(railway: Railway, harbour: Gate, airport: Gate) -> None:
    """Nothing is paid; plugged in again it is used again."""
    waiting = railway.passenger("waiting", 100_00)
    harbour.let_through(waiting)
    airport.barrier.line.unplug()
    airport.steps.next("device_lost")
    waiting.tap(airport, stay_s=3)
    assert airport.refusal()["reason"] == "GATE_BLOCKED"
    assert railway.balance(waiting) == 100_00
    airport.barrier.line.plug()
    airport.steps.next("device_back")
    airport.let_through(waiting)


def test_a_slow_barrier(railway: Railway, harbour: Gate, airport: Gate) -> None:
    """Half a second later, and all the same right; so also without its display."""
    patient = railway.passenger("patient", 100_00)
    harbour.let_through(patient)
    airport.barrier.set_fault(BarrierFault.SLOW)
    airport.display.line.unplug()
    assert airport.let_through(patient).view is View.RIDE_OVER
    airport.barrier.set_fault(BarrierFault.NONE)
    airport.display.line.plug()
    airport.display.wait_for("Tap to")


def test_tailgating_and_climbing_are_told(railway: Railway, harbour: Gate) -> None:
    """One person an opening: the attendant learns of every other."""
    first = railway.passenger("first", 100_00)
    walker = threading.Thread(target=harbour.walk, args=(2,), daemon=True)
    walker.start()
    first.tap(harbour)
    assert harbour.steps.next("tailgating")["persons"] == 2
    harbour.display.wait_for("ONE AT A TIME")
    harbour.barrier.wait_until_shut()
    harbour.barrier.climb_over()
    assert harbour.steps.next("forced")["persons"] == 1
    harbour.barrier.restart()
    assert harbour.steps.next("counter_restarted")["now"] == 0
    harbour.barrier.climb_over()
    assert harbour.steps.next("forced")["persons"] == 1


def test_who_paid_and_did_not_walk(railway: Railway, harbour: Gate, airport: Gate) -> None:
    """The barrier shuts again; the next tap opens it, and costs nothing more."""
    dreamer = railway.passenger("dreamer", 100_00)
    harbour.let_through(dreamer)
    assert dreamer.tap(airport).view is View.RIDE_OVER
    airport.steps.next("nobody_passed")
    airport.barrier.wait_until_shut()
    airport.let_through(dreamer)
    assert railway.balance(dreamer) == 100_00 - FARE


def test_a_gate_killed_before_the_person_walked(
    railway: Railway, harbour: Gate, airport: Gate
) -> None:
    """It starts shut; the fare was paid, so the next tap opens and costs nothing more."""
    unlucky = railway.passenger("unlucky", 100_00)
    harbour.let_through(unlucky)
    unlucky.tap(airport)
    airport.barrier.wait_until_open()
    airport.kill()
    airport.start()
    airport.barrier.wait_until_shut()
    airport.let_through(unlucky)
    assert railway.balance(unlucky) == 100_00 - FARE


def test_an_entry_killed_before_it_noted_who_passed(
    railway: Railway, harbour: Gate, airport: Gate
) -> None:
    """Who is soon back gets a new admission: the exits know that of the first ride as used."""
    soon_back = railway.passenger("soon-back", 100_00)
    harbour.let_through(soon_back)
    harbour.kill()
    with closing(sqlite3.connect(harbour.folder / FILE_NAME)) as book, book:
        newest = "SELECT max(issue_us) FROM entry"
        book.execute(f"UPDATE entry SET pass_us = NULL WHERE issue_us = ({newest})")
    harbour.start()
    airport.let_through(soon_back)
    harbour.let_through(soon_back)
    airport.let_through(soon_back)
    rides = [(r.admission.station_id, r.note is not None) for r in soon_back.rides()]
    assert rides == [("harbour", True)] * 2


def test_a_switch_killed_while_a_fare_is_paid(
    railway: Railway, harbour: Gate, airport: Gate
) -> None:
    """Shut while nobody knows; asked on, also after a kill of the gate; then opens, paid once."""
    waiting = railway.passenger("waiting", 100_00)
    harbour.let_through(waiting)
    railway.switch.kill()
    waiting.tap(airport, stay_s=6)
    airport.steps.next("unknown")
    assert not airport.barrier.is_open
    airport.kill()
    airport.start()
    railway.switch.restart()
    airport.steps.next("settled")
    airport.let_through(waiting)
    assert railway.balance(waiting) == 100_00 - FARE


def test_an_entry_that_may_not_decide(railway: Railway, harbour: Gate) -> None:
    """Nobody can confirm: the gate stays shut and says why."""
    early = railway.passenger("early", 100_00)
    railway.switch.kill()
    harbour.turn_away(early, "OFFLINE_NOT_ALLOWED")
    railway.switch.restart()


def test_a_ride_without_the_switch(railway: Railway, far_entry: Gate, far_exit: Gate) -> None:
    """Gates decide by themselves of holders whom they know; the fare is settled later."""
    traveller, blocked = (railway.passenger(name, 100_00) for name in ("traveller", "blocked"))
    railway.switch.revoke(f"phone/{blocked.name}/{blocked.name}")
    for gate in (far_entry, far_exit):
        gate.wait_until_denied(blocked)
    railway.switch.kill()
    for gate in (far_entry, far_exit):
        gate.steps.next("out_of_touch")
    far_entry.turn_away(blocked, "CREDENTIAL_DENIED")
    assert far_entry.let_through(traveller).view is View.ADMITTED
    assert far_exit.let_through(traveller).view is View.RIDE_OVER
    traveller.reopen_rides()
    far_exit.turn_away(traveller, "ADMISSION_USED")
    railway.switch.restart()
    far_exit.steps.next("settled")
    assert railway.balance(traveller) == 100_00 - FARE


def test_a_fare_over_the_offline_limit_waits_for_the_switch(
    railway: Railway, far_entry: Gate, far_exit: Gate
) -> None:
    """As many fares of one holder may wait as the operator says; the next does not open."""
    frequent = railway.passenger("frequent", 100_00)
    for gate in (far_entry, far_exit):
        gate.steps.latest("in_touch", since="out_of_touch")
    terminal = f"agent/{MERCHANT}/{far_exit.folder.name}"
    data = ("--data", str(railway.switch.folder))
    kessai("device", "config", *data, terminal, "offline_holder_count=1")
    far_exit.steps.next("configured")
    railway.switch.kill()
    for gate in (far_entry, far_exit):
        gate.steps.next("out_of_touch")
    far_entry.let_through(frequent)
    far_exit.let_through(frequent)
    far_entry.let_through(frequent)
    openings = far_exit.barrier.openings
    frequent.tap(far_exit, stay_s=2)
    assert far_exit.steps.next("not_accepted")["reason"] == "OFFLINE_LIMIT_EXCEEDED"
    assert far_exit.barrier.openings == openings
    railway.switch.restart()
    for _ in range(2):
        far_exit.steps.next("settled")
    far_exit.let_through(frequent)
    assert railway.balance(frequent) == 100_00 - 2 * FARE
