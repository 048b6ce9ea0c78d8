"""Row B4, gate: entry, exit, what a ride costs, and each reason to stay shut. Over NFC and BLE."""

from __future__ import annotations

import pytest

from edge_agents.journal import PaymentState
from simulators.phone.customer import Declining
from simulators.phone.misbehaviour import Misbehaviour
from simulators.phone.screen import View
from tests.running import kessai
from tests.scenarios.radios import OVER_BLE, OVER_NFC, Radio
from tests.scenarios.railway import FARE, Gate, Passenger, Railway, forge_station


@pytest.fixture(scope="module")
def harbour(railway: Railway, radio: Radio) -> Gate:
    """An entry at Harbour; accounts need 1.00."""
    railway.require_balance("1.00 EUR")
    return railway.gate(radio, "entry", "harbour")


@pytest.fixture(scope="module")
def airport(railway: Railway, radio: Radio) -> Gate:
    """An exit at Airport."""
    return railway.gate(radio, "exit", "airport")


@pytest.fixture(scope="module")
def rita(railway: Railway) -> Passenger:
    """A passenger with 500.00."""
    return railway.passenger("rita", 500_00)


def test_a_ride(railway: Railway, harbour: Gate, airport: Gate, rita: Passenger) -> None:
    """No question, no PIN: in with an admission, out with a receipt, and the feed's fare paid."""
    before = railway.balance(rita)
    page = harbour.let_through(rita)
    assert (page.view, page.shop) == (View.ADMITTED, "Harbour Line")
    assert railway.balance(rita) == before
    page = airport.let_through(rita)
    assert (page.view, page.total) == (View.RIDE_OVER, "3.20 EUR")
    assert page.receipt_number
    assert railway.balance(rita) == before - FARE
    newest = rita.rides()[0]
    assert newest.note is not None
    assert newest.note.station_id == "airport"
    assert View.ENTER_PIN not in {page.view for page in rita.pages}
    entry = airport.journal()[0]
    assert (entry.state, entry.delivered) == (PaymentState.SETTLED, True)
    assert entry.pending.request.items[0].description == "Harbour - Airport"


@OVER_NFC
def test_too_little_money_to_enter(railway: Railway, harbour: Gate) -> None:
    """The switch says no, and to nobody but the passenger why: on his phone he sees his balance."""
    poor = railway.passenger("poor", 99)
    page = harbour.turn_away(poor, "MAY_NOT_TRAVEL")
    assert (page.view, page.reason) == (View.REFUSED, "MAY_NOT_TRAVEL")
    harbour.display.wait_for("STOP")


@OVER_BLE
def test_not_settled(railway: Railway, harbour: Gate, airport: Gate) -> None:
    """Too little for the fare: shut. With the money paid in, the same admission lets him out."""
    short = railway.passenger("short", 200)
    harbour.let_through(short)
    airport.turn_away(short, "INSUFFICIENT_FUNDS")
    assert railway.balance(short) == 200
    railway.switch.deposit(short.account, 200)
    assert airport.let_through(short).view is View.RIDE_OVER
    assert railway.balance(short) == 400 - FARE


@OVER_NFC
def test_who_says_no_stays_inside(railway: Railway, harbour: Gate, airport: Gate) -> None:
    """And may still agree at the next tap."""
    shy = railway.passenger("shy", 10_00)
    harbour.let_through(shy)
    page = shy.tap(airport, customer=Declining())
    assert page.view is View.CANCELLED
    airport.steps.next("customer_declined")
    assert not airport.barrier.is_open
    airport.let_through(shy)
    assert railway.balance(shy) == 10_00 - FARE


@OVER_BLE
def test_no_admission(railway: Railway, airport: Gate) -> None:
    """He jumped the barrier when he entered."""
    airport.turn_away(railway.passenger("jumper", 10_00), "ADMISSION_MISSING")


@OVER_NFC
def test_a_forged_admission(railway: Railway, harbour: Gate, airport: Gate) -> None:
    """The nearer station is not what the gate signed."""
    forger = railway.passenger("forger", 10_00)
    harbour.let_through(forger)
    good = forger.rides()[0].signed
    forger.change_rides("UPDATE ride SET admission = ?", forge_station(good))
    airport.turn_away(forger, "ADMISSION_INVALID")
    forger.change_rides("UPDATE ride SET admission = ?", good.SerializeToString())
    airport.let_through(forger)


@OVER_BLE
def test_a_copied_admission(railway: Railway, harbour: Gate, airport: Gate) -> None:
    """The copy shows all that the original does, but for the holder's key."""
    owner, thief = (railway.passenger(name, 10_00) for name in ("owner", "thief"))
    harbour.let_through(owner)
    thief.rides()
    copied = owner.rides()[0]
    thief.change_rides(
        "INSERT INTO ride (admission_id, merchant_id, admission, certificate) VALUES (?, ?, ?, ?)",
        copied.admission.admission_id,
        copied.admission.merchant_id,
        copied.signed.SerializeToString(),
        copied.certificate.SerializeToString(),
    )
    airport.turn_away(thief, "HOLDER_NOT_PROVEN")
    airport.let_through(owner)
    assert railway.balance(thief) == 10_00


@OVER_NFC
def test_a_reused_admission(railway: Railway, radio: Radio, harbour: Gate, airport: Gate) -> None:
    """The gate knows it, and at any other gate the switch does. Nobody pays twice.

    The gate also tells the phone again that the ride is over, in case that it missed it.
    """
    again = railway.passenger("again", 10_00)
    harbour.let_through(again)
    airport.let_through(again)
    again.reopen_rides()
    airport.turn_away(again, "ADMISSION_USED")
    airport.turn_away(again, "ADMISSION_MISSING")
    again.reopen_rides()
    central = railway.gate(radio, "exit", "central")
    central.turn_away(again, "ADMISSION_USED")
    assert railway.balance(again) == 10_00 - FARE


@OVER_BLE
def test_an_expired_admission(railway: Railway, harbour: Gate, airport: Gate) -> None:
    """He stayed inside for longer than a ride takes."""
    sleeper = railway.passenger("sleeper", 10_00)
    sleeper.take_admission(harbour.folder, "harbour", age_s=3601)
    airport.turn_away(sleeper, "ADMISSION_EXPIRED")


@OVER_NFC
def test_another_carriers_admission(railway: Railway, airport: Gate) -> None:
    """The certificate that comes with it is of no gate of this line."""
    stranger = railway.passenger("stranger", 10_00)
    other = railway.folder / "other-line"
    if not other.exists():
        railway.pair_other_carrier(other)
    stranger.take_admission(other, "harbour")
    stranger.change_rides("UPDATE ride SET merchant_id = 'harbour-line'")
    airport.turn_away(stranger, "ADMISSION_INVALID")


@OVER_BLE
def test_the_fare_tables_have_no_such_trip(railway: Railway, harbour: Gate, airport: Gate) -> None:
    """He came in at a gate of the line, so he gets out, and the carrier learns of it."""
    lost = railway.passenger("lost", 10_00)
    lost.take_admission(harbour.folder, "closed-station")
    page = airport.let_through(lost)
    assert (page.view, page.total) == (View.RIDE_OVER, "0.00 EUR")
    assert "Harbour Line will tell you" in page.message
    told = airport.steps.latest("unpriced", since="started")
    assert (told["entry_station"], told["station"]) == ("closed-station", "airport")
    assert railway.balance(lost) == 10_00
    unpriced = ("agent", "unpriced", "--folder", str(airport.folder))
    assert str(told["ride"]) in kessai(*unpriced).stdout
    kessai(*unpriced, "--clear", str(told["ride"]))
    assert str(told["ride"]) not in kessai(*unpriced).stdout


@OVER_NFC
def test_leaving_where_one_entered(railway: Railway, radio: Radio, harbour: Gate) -> None:
    """Free for ten minutes, then for the attendant to decide."""
    strict = railway.gate(radio, "exit", "harbour", "same_station_minutes = 10")
    turning = railway.passenger("turning", 10_00)
    harbour.let_through(turning)
    page = strict.let_through(turning)
    assert (page.view, page.total) == (View.RIDE_OVER, "0.00 EUR")
    turning.take_admission(harbour.folder, "harbour", age_s=601)
    strict.turn_away(turning, "SAME_STATION")
    assert railway.balance(turning) == 10_00


@OVER_BLE
def test_a_second_person_with_one_phone(railway: Railway, harbour: Gate) -> None:
    """Handed back over the barrier, the phone lets nobody else in."""
    pair = railway.passenger("pair", 10_00)
    harbour.let_through(pair)
    harbour.turn_away(pair, "ADMISSION_OPEN")
    pair.change_rides("DELETE FROM ride")  # and hides that it is inside
    harbour.turn_away(pair, "ADMISSION_OPEN")


@OVER_NFC
def test_an_entry_torn_off(railway: Railway, harbour: Gate, airport: Gate) -> None:
    """The phone left before it answered: the gate stays shut, and the next tap goes on."""
    hasty = railway.passenger("hasty", 10_00)
    openings = harbour.barrier.openings
    hasty.tap(harbour, Misbehaviour(leave_after_exchanges=2), stay_s=3)
    harbour.steps.next("phone_left")
    assert harbour.barrier.openings == openings
    harbour.let_through(hasty)
    assert len(hasty.rides()) == 1
    airport.let_through(hasty)


@OVER_BLE
def test_an_exit_torn_off(railway: Railway, harbour: Gate, airport: Gate) -> None:
    """The phone left after it had agreed: nothing is paid, and the next tap pays once."""
    hasty = railway.passenger("hasty", 10_00)
    harbour.let_through(hasty)
    openings = airport.barrier.openings
    hasty.tap(airport, Misbehaviour(leave_after_exchanges=2), stay_s=3)
    airport.steps.next("phone_left")
    assert airport.barrier.openings == openings
    assert railway.balance(hasty) == 10_00
    airport.let_through(hasty)
    assert railway.balance(hasty) == 10_00 - FARE
