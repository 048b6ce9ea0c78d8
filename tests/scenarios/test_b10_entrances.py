"""B10: at the entrance an agent checks the ticket with no attendant and opens.

Refused: a copied or forged ticket, a second entry, another event's ticket, a revoked ticket, one
out of its time. Survived: the venue's line to the switch down, the hub away, kills, a phone that
leaves, a door that fails in each way that it can.
"""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from kessai.ticket import format_ticket_id
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.ticket_pb2 import Ticket
from simulators.phone.ticket_store import TicketStore
from simulators.town import free_udp_port
from tests.running import kessai
from tests.scenarios.radios import OVER_BLE, OVER_NFC, Radio
from tests.scenarios.shop import MERCHANT, Customer, Shop
from tests.scenarios.venue import PRICE, EntranceAgent, TurnstileAgent, Venue

pytestmark = pytest.mark.timeout(240)

STORE = "tickets.sqlite3"
VALID_S = 10


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop of its own: its switch is stopped and started."""
    opened = Shop(tmp_path_factory.mktemp("venue"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def venue(shop: Shop) -> Iterator[Venue]:
    opened = Venue(shop)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def latecomer(shop: Shop, venue: Venue) -> Customer:
    """Somebody whose ticket is over when the last test is played."""
    late = shop.customer("late", 100_00)
    venue.sell(late)
    venue.offer("early", seconds=VALID_S)
    (late.folder / STORE).unlink()
    venue.sell(late, "early")
    return late


@pytest.fixture(scope="module")
def door(venue: Venue, radio: Radio) -> Iterator[EntranceAgent]:
    """An entrance on one of the radios."""
    entrance = venue.entrance(f"door-{radio.kind}", radio.reader())
    entrance.start()
    yield entrance
    entrance.close()


def test_a_ticket_opens_the_door_once(
    shop: Shop, venue: Venue, door: EntranceAgent, latecomer: Customer
) -> None:
    """Reader and phone say welcome, the switch hears of it; the second entry is refused."""
    bob = shop.customer("bob", 100_00)
    ticket = venue.sell(bob)
    before = door.door.view.persons
    door.let_in(bob)
    assert door.door.view.persons == before + 1
    assert door.door.wait_for(lambda v: v.text == "Welcome").light == "green"
    venue.wait_until_told(ticket, 1)
    assert door.turn_away(bob) == "TICKET_USED"
    assert door.door.wait_for(lambda v: v.light == "red").text.startswith("This ticket was used")


@OVER_NFC
def test_a_copied_ticket(shop: Shop, venue: Venue, door: EntranceAgent) -> None:
    """Every byte of it is on another phone, and it opens nothing; the owner still gets in."""
    owner, thief = shop.customer("owner", 100_00), shop.customer("thief", 100_00)
    venue.sell(owner)
    shutil.copy(owner.folder / STORE, thief.folder / STORE)
    assert door.turn_away(thief) == "TICKET_NOT_HOLDER"
    door.let_in(owner)


@OVER_BLE
def test_a_forged_ticket(shop: Shop, venue: Venue, door: EntranceAgent) -> None:
    """For five instead of one: it is not what the switch signed."""
    forger = shop.customer("forger", 100_00)
    venue.sell(forger)
    with closing(sqlite3.connect(forger.folder / STORE)) as db, db:
        ((raw,),) = db.execute("SELECT signed FROM ticket").fetchall()
        db.execute("UPDATE ticket SET signed = ?", (for_five(raw),))
    assert door.turn_away(forger) == "TICKET_INVALID"


@OVER_BLE
def test_another_event_another_time(shop: Shop, venue: Venue, door: EntranceAgent) -> None:
    """A ticket for the opera, or for tomorrow's concert; a phone without any ticket."""
    carol, dan, eve = (shop.customer(name, 100_00) for name in ("carol", "dan", "eve"))
    venue.offer("opera", event="opera")
    venue.offer("tomorrow", hours=24)
    venue.sell(carol, "opera")
    venue.sell(dan, "tomorrow")
    assert door.turn_away(carol) == "TICKET_INVALID"
    assert door.turn_away(dan) == "TICKET_NOT_IN_TIME"
    phone = door.tap(eve)
    door.steps.next("no_ticket")
    assert "no ticket for here" in phone.next("turned-away")["message"]


@OVER_NFC
def test_a_revoked_and_a_refunded_ticket(shop: Shop, venue: Venue, door: EntranceAgent) -> None:
    """By the operator's command; the refund is the price, and happens once."""
    fay, gil = shop.customer("fay", 100_00), shop.customer("gil", 100_00)
    shop.earned()
    revoked, refunded = (format_ticket_id(venue.sell(who)) for who in (fay, gil))
    shop.earned()
    data = str(shop.switch.folder)
    kessai("ticket", "revoke", "--data", data, revoked)
    assert "25.00 EUR went back" in kessai("ticket", "refund", "--data", data, refunded).stdout
    again = kessai("ticket", "refund", "--data", data, refunded, check=False)
    assert again.returncode == 1
    assert "TICKET_REFUNDED" in again.stderr
    assert door.turn_away(fay) == "TICKET_REVOKED"
    assert door.turn_away(gil) in ("TICKET_REVOKED", "TICKET_REFUNDED")
    shop.earned()
    assert shop.switch.balance(gil.account) == 100_00
    assert shop.switch.balance(fay.account) == 100_00 - PRICE


def test_an_operator_sees_offers_and_tickets(shop: Shop, venue: Venue) -> None:
    """What is on sale, what was sold; other terms under an id are refused in one line."""
    data = ("--data", str(shop.switch.folder))
    add = ["ticket", "offer", "add", MERCHANT, "gift", *data, "--event", "museum"]
    add += ["--event-name", "Museum", "--title", "Gift certificate", "--kind", "certificate"]
    add += ["--from", "2026-01-01T00:00Z", "--until", "2036-01-01T00:00Z", "--price", "25.00 EUR"]
    assert "is on sale for 25.00 EUR" in kessai(*add, "--value", "30.00 EUR").stdout
    other = kessai(*add, "--value", "31.00 EUR", check=False)
    assert (other.returncode, "other terms" in other.stderr) == (1, True)
    listed = kessai("ticket", "offer", "list", MERCHANT, *data).stdout
    assert "gift" in listed
    assert "adult" in listed
    ticket = venue.sell(shop.customer("oda", 100_00), "gift")
    shown = kessai("ticket", "show", *data, format_ticket_id(ticket)).stdout
    assert "30.00 EUR left" in shown
    wrong = kessai("ticket", "show", *data, "1/1", check=False)
    assert (wrong.returncode, "not a ticket's number" in wrong.stderr) == (1, True)


def test_a_group_goes_in_as_it_comes(shop: Shop, venue: Venue, lone_door: EntranceAgent) -> None:
    """Two, then three of five; not a sixth."""
    hal = shop.customer("hal", 100_00)
    venue.offer("group", admits=5)
    ticket = venue.sell(hal, "group")
    lone_door.let_in(hal, "--persons", "2")
    lone_door.let_in(hal, "--persons", "3")
    venue.wait_until_told(ticket, 5)
    assert lone_door.turn_away(hal) == "TICKET_USED"


def test_a_door_that_does_not_answer(shop: Shop, venue: Venue, lone_door: EntranceAgent) -> None:
    """Unplugged, silent, or nothing but noise: nobody is let in, and the ticket is not used.

    When the door answers again, it opens.
    """
    max_ = shop.customer("max", 100_00)
    venue.sell(max_)
    door = lone_door.door
    door.unplug()
    lone_door.steps.next("device_lost")
    assert lone_door.turn_away(max_) == "ENTRANCE_OUT_OF_SERVICE"
    door.go_silent()
    door.plug()
    lone_door.steps.next("device_back")
    assert lone_door.turn_away(max_) == "ENTRANCE_OUT_OF_SERVICE"
    door.talk_garbage()
    assert lone_door.turn_away(max_) == "ENTRANCE_OUT_OF_SERVICE"
    door.go_silent(False)
    door.talk_garbage(False)
    lone_door.steps.next("door_ready")
    lone_door.let_in(max_)


def test_a_door_that_is_held_open(shop: Shop, venue: Venue, lone_door: EntranceAgent) -> None:
    """It is told, and the next one is not let in before it is shut."""
    abe, ben = shop.customer("abe", 100_00), shop.customer("ben", 100_00)
    venue.sell(abe)
    venue.sell(ben)
    lone_door.door.hold_open()
    lone_door.tap(abe).next("welcome")
    lone_door.steps.next("door_held_open")
    lone_door.door.wait_for(lambda view: view.text == "Shut the door")
    unlocked = lone_door.door.view.unlocked_times
    waiting = lone_door.tap(ben)
    waiting.next("idle")
    assert lone_door.door.view.unlocked_times == unlocked
    lone_door.door.hold_open(False)
    lone_door.steps.next("door_shut")
    waiting.next("welcome")
    lone_door.steps.next("passed")


def test_a_phone_that_leaves_before_it_is_told(
    shop: Shop, venue: Venue, lone_door: EntranceAgent
) -> None:
    """It had shown its ticket: the door opens, and opens once."""
    una = shop.customer("una", 100_00)
    ticket = venue.sell(una)
    hasty = lone_door.tap(una, "--leave-after-exchanges", "2")
    lone_door.steps.next("passed")
    hasty.end()
    venue.wait_until_told(ticket, 1)
    assert lone_door.turn_away(una) == "TICKET_USED"


def test_a_turnstile_counts_who_goes_in(
    shop: Shop, venue: Venue, turnstile: TurnstileAgent
) -> None:
    """Three with one ticket: it stays open until the third is in, and the switch hears of three."""
    kay = shop.customer("kay", 100_00)
    venue.offer("trio", admits=3)
    ticket = venue.sell(kay, "trio")
    phone = turnstile.tap(kay, "--persons", "3")
    turnstile.turnstile.wait_until_open()
    turnstile.turnstile.walk_through()
    turnstile.steps.next("passed")
    assert turnstile.turnstile.walk_through(2)
    turnstile.turnstile.wait_until_shut()
    assert phone.next("welcome")
    phone.end()
    venue.wait_until_told(ticket, 3)
    assert turnstile.turn_away(kay) == "TICKET_USED"


def test_the_line_to_the_switch_is_down(shop: Shop, venue: Venue, lone_door: EntranceAgent) -> None:
    """Who has a ticket gets in, once; what happened is told when the line is back, once.

    What was revoked before is on the door's deny list, also after the door was killed.
    """
    jon, kim = shop.customer("jon", 100_00), shop.customer("kim", 100_00)
    ticket, revoked = venue.sell(jon), venue.sell(kim)
    kessai("ticket", "revoke", "--data", str(shop.switch.folder), format_ticket_id(revoked))
    assert lone_door.turn_away(kim) == "TICKET_REVOKED"
    shop.switch.kill()
    try:
        lone_door.let_in(jon)
        assert lone_door.turn_away(jon) == "TICKET_USED"
        lone_door.kill()
        lone_door.start()
        assert lone_door.turn_away(jon) == "TICKET_USED"
        assert lone_door.turn_away(kim) == "TICKET_REVOKED"
    finally:
        shop.switch.restart()
    venue.wait_until_told(ticket, 1)
    assert lone_door.turn_away(jon) == "TICKET_USED"


def test_a_kill_between_the_note_and_the_door(
    shop: Shop, venue: Venue, lone_door: EntranceAgent
) -> None:
    """Nobody knows whether the door had opened: the entry counts, is told, and made once."""
    nia = shop.customer("nia", 100_00)
    ticket = venue.sell(nia)
    lone_door.door.go_silent()
    lone_door.tap(nia)
    lone_door.steps.next("admitted")
    lone_door.kill()
    lone_door.door.go_silent(False)
    lone_door.start()
    assert "entry_uncertain" in lone_door.steps.names
    assert lone_door.turn_away(nia) == "TICKET_USED"
    venue.wait_until_told(ticket, 1)


def test_two_doors_and_their_hub(shop: Shop, venue: Venue) -> None:
    """Used at one door is used at the other, the switch being down; without the hub nobody goes in.

    A door that may count alone lets in, and tells the hub later.
    """
    lou, mia = shop.customer("lou", 100_00), shop.customer("mia", 100_00)
    venue.sell(lou)
    venue.sell(mia)
    port = free_udp_port()
    hall = venue.entrance("hall", f"udp:127.0.0.1:{free_udp_port()}")
    side = venue.entrance("side", f"udp:127.0.0.1:{free_udp_port()}")
    hub = ("--hub", f"127.0.0.1:{port}", "--hub-terminal", "hall")
    hall.start("--hub-listen", f"127.0.0.1:{port}")
    side.start(*hub)
    shop.switch.kill()
    try:
        hall.let_in(lou)
        assert side.turn_away(lou) == "TICKET_USED"
        hall.kill()
        assert side.turn_away(mia) == "ENTRANCE_OUT_OF_SERVICE"
        side.kill()
        side.start(*hub, "--hub-away", "alone")
        side.let_in(mia)
        hall.start("--hub-listen", f"127.0.0.1:{port}")
    finally:
        shop.switch.restart()
    side.kill()
    side.start(*hub)
    assert hall.turn_away(mia) == "TICKET_USED"
    hall.close()
    side.close()


@OVER_NFC
def test_a_ticket_whose_time_is_over(door: EntranceAgent, latecomer: Customer) -> None:
    """It was good ten seconds long, and those are over."""
    with closing(TicketStore(latecomer.folder)) as store:
        (kept,) = store.all()
    over_us = kept.ticket.offer.valid_until_time.ToMicroseconds()
    time.sleep(max(0, over_us / 1e6 - time.time()))
    assert door.turn_away(latecomer) == "TICKET_NOT_IN_TIME"


def for_five(raw: bytes) -> bytes:
    """Alter what a ticket admits, as it lies in a phone."""
    signed = Signed.FromString(raw)
    ticket = Ticket.FromString(signed.payload)
    ticket.offer.admits = 5
    signed.payload = ticket.SerializeToString(deterministic=True)
    return signed.SerializeToString()
