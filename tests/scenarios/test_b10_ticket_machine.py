"""B10: at a ticket machine a customer chooses and pays with the phone; the ticket comes to it.

Both ways of paying, on both radios. Refused: unknown keys, offers that are over, too little money,
a no. Survived: the switch away, a phone that leaves, no paper, a device unplugged, kills.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from edge_agents.journal import PaymentState
from simulators.devices.paper_roll import text_of
from tests.scenarios.radios import Radio
from tests.scenarios.shop import APPROVE, SHOP_NAME, Customer, Register, Shop
from tests.scenarios.test_footprint import LIMIT_MB, resident_mb
from tests.scenarios.venue import PRICE, Venue

pytestmark = pytest.mark.timeout(240)

ADULT, GROUP = "1", "2"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop of its own: its switch is stopped and started, and its offers are counted."""
    opened = Shop(tmp_path_factory.mktemp("ticket-machine"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def venue(shop: Shop) -> Iterator[Venue]:
    opened = Venue(shop)
    opened.offer("group", admits=5)
    yield opened
    opened.close()


@pytest.fixture(scope="module", params=["relayed", "direct"])
def on_radio(venue: Venue, radio: Radio, request: pytest.FixtureRequest) -> Register:
    """A ticket machine on each radio, of each way of paying."""
    name = f"{request.param}-{radio.kind}"
    return venue.ticket_machine(name, radio.reader(code=False), "--submission", request.param)


@pytest.fixture(scope="module")
def running(venue: Venue) -> Register:
    """A ticket machine over NFC, for what has nothing to do with radios."""
    return venue.ticket_machine("hall")


@pytest.fixture
def machine(running: Register) -> Iterator[Register]:
    """The same, cleared for the next customer."""
    yield running
    running.send_phones_away()
    running.clear()


def choose(machine: Register, *keys: str) -> None:
    """Press keys of which each is taken."""
    for key in keys:
        machine.scanner.scan(key)
        machine.steps.next("ticket_chosen")


def test_a_ticket_is_bought_and_opens_the_door(
    shop: Shop, venue: Venue, on_radio: Register, radio: Radio
) -> None:
    """Prices in turn, the choice, the total; paid, printed, on the phone; and in at the door."""
    ann, before = shop.customer("ann", 100_00), shop.earned()
    on_radio.display.wait_for("1 Adult    25.00 EUR Spring Concert")
    on_radio.display.wait_for("2 Group    25.00 EUR Spring Concert")
    choose(on_radio, ADULT, "x3")
    on_radio.display.wait_for("75.00 Total EUR      75.00")
    asked = on_radio.pay()
    phone = on_radio.tap(ann, *APPROVE)
    assert phone.next("purchase")["total"] == "75.00 EUR"
    on_radio.steps.next("settled")
    on_radio.steps.next("receipt_delivered")
    phone.next("paid")
    assert venue.tickets_on(ann) == 3
    paper = text_of(on_radio.printer.wait_for_slips(1)[-1])
    for said in (SHOP_NAME, "Adult, Spring Concert", "3 x 25.00", "PAID", asked["payment_id"]):
        assert said in paper
    assert shop.switch.balance(ann.account) == 100_00 - 3 * PRICE
    assert shop.earned() == before + 3 * PRICE
    phone.kill()
    on_radio.clear()
    if not on_radio.folder.name.startswith("relayed"):
        return
    door = venue.entrance(f"door-{on_radio.folder.name}", radio.reader())
    door.start()
    door.let_in(ann)
    door.close()


def test_keys_that_are_none(machine: Register) -> None:
    """Each is told on the display, and nothing is chosen; what was chosen can be taken back."""
    for key, event, text in (
        ("17", "offer_unknown", "No such ticket"),
        ("0", "offer_unknown", "No such ticket"),
        ("4006381333931", "key_refused", "Unknown key"),
        ("%REMOVE", "key_refused", "Unknown key"),
        ("X2", "key_refused", "Choose a ticket"),
        ("%PAY", "key_refused", "Nothing to pay"),
    ):
        machine.scanner.scan(key)
        machine.steps.next(event)
        machine.display.wait_for(text)
    choose(machine, ADULT, "X20")
    machine.scanner.scan(GROUP)
    machine.steps.next("count_refused")
    machine.display.wait_for("At most 20 tickets Total EUR     500.00")
    machine.scanner.scan("X0")
    assert machine.steps.next("ticket_removed")["total_minor"] == 0


def test_twenty_tickets_at_once(venue: Venue, machine: Register, alice: Customer) -> None:
    """As many as one payment may buy: all come to the phone with the receipt.

    The machine is still as small as every agent.
    """
    had = venue.tickets_on(alice)
    choose(machine, ADULT, "X19", GROUP)
    machine.pay()
    machine.tap(alice, *APPROVE).next("paid")
    machine.steps.next("receipt_delivered")
    assert venue.tickets_on(alice) == had + 20
    assert resident_mb(machine.steps.pid) < LIMIT_MB


def test_too_little_money_and_a_no(shop: Shop, venue: Venue, machine: Register) -> None:
    """Declined by the switch, and by the customer: no ticket, no money; then a cheaper choice."""
    bob = shop.customer("bob", 30_00)
    choose(machine, ADULT, "X2")
    machine.pay()
    machine.tap(bob, *APPROVE)
    assert machine.steps.next("declined")["reason"] == "INSUFFICIENT_FUNDS"
    machine.display.wait_for("Not enough money in the account.")
    machine.send_phones_away()
    choose(machine, "X1")
    machine.pay()
    machine.tap(bob, "--answer", "decline")
    machine.steps.next("customer_declined")
    machine.send_phones_away()
    assert (venue.tickets_on(bob), shop.switch.balance(bob.account)) == (0, 30_00)
    machine.pay()
    machine.tap(bob, *APPROVE).next("paid")
    machine.steps.next("receipt_delivered")
    assert (venue.tickets_on(bob), shop.switch.balance(bob.account)) == (1, 5_00)


def test_an_offer_that_is_over_when_it_is_paid(
    shop: Shop, venue: Venue, machine: Register, alice: Customer
) -> None:
    """The switch declines; the machine asks for the offers, says so, and sells the others."""
    cash = shop.switch.balance(alice.account)
    venue.offer("zz-late", seconds=8)
    machine.steps.next("offers_changed")
    choose(machine, "3")
    machine.pay()
    machine.steps.next("offers_changed", timeout_s=30)  # its time is over while the phone is away
    machine.tap(alice, *APPROVE)
    assert machine.steps.next("declined")["reason"] == "TICKET_OFFER_UNKNOWN"
    machine.steps.next("choice_gone")
    machine.display.wait_for("TICKETS CHANGED Choose again please.")
    machine.send_phones_away()
    assert shop.switch.balance(alice.account) == cash
    machine.scanner.scan("3")
    machine.steps.next("offer_unknown")


def test_phone_and_machine_are_gone_before_it_is_paid(
    shop: Shop, venue: Venue, machine: Register, alice: Customer
) -> None:
    """The switch answers nobody, the phone leaves, the machine is killed: it is paid once.

    The next tap brings receipt and ticket.
    """
    had, cash = venue.tickets_on(alice), shop.switch.balance(alice.account)
    choose(machine, ADULT)
    asked = machine.pay()
    shop.switch.stop()
    machine.tap(alice, *APPROVE)
    machine.steps.next("authorized")
    machine.kill()
    shop.switch.restart()
    machine.start("--refresh-seconds", "1")
    machine.steps.next("settled")
    assert machine.entry(asked["payment_id"]).state is PaymentState.SETTLED
    assert venue.tickets_on(alice) == had
    machine.tap(alice, *APPROVE).next("paid")
    machine.steps.next("receipt_delivered")
    assert venue.tickets_on(alice) == had + 1
    assert shop.switch.balance(alice.account) == cash - PRICE


def test_the_switch_is_away(shop: Shop, venue: Venue, machine: Register, alice: Customer) -> None:
    """It says so and sells nothing, also after a start; then it sells again by itself."""
    had = venue.tickets_on(alice)
    choose(machine, ADULT)
    shop.switch.stop()
    try:
        machine.steps.next("offers_stale")
        machine.scanner.scan("%PAY")
        assert machine.steps.next("no_offers")["key"] == "%PAY"
        machine.display.wait_for("No tickets now: the line is down")
        machine.kill()
        machine.start("--refresh-seconds", "1")
        machine.display.wait_for("No tickets now: the line is down")
        machine.scanner.scan(ADULT)
        machine.steps.next("no_offers")
    finally:
        shop.switch.restart()
    machine.steps.next("offers_taken")
    choose(machine, ADULT)
    machine.pay()
    machine.tap(alice, *APPROVE).next("paid")
    machine.steps.next("receipt_delivered")
    assert venue.tickets_on(alice) == had + 1


def test_no_paper_and_a_display_unplugged(venue: Venue, machine: Register, alice: Customer) -> None:
    """The ticket is on the phone all the same; the paper follows."""
    had, slips = venue.tickets_on(alice), len(machine.printer.roll.slips)
    machine.printer.take_paper()
    machine.display.line.unplug()
    choose(machine, ADULT)
    machine.pay()
    machine.tap(alice, *APPROVE).next("paid")
    machine.steps.next("receipt_waits")
    assert venue.tickets_on(alice) == had + 1
    machine.display.line.plug()
    machine.printer.put_paper()
    machine.steps.next("receipt_printed")
    assert len(machine.printer.wait_for_slips(slips + 1)) == slips + 1
    machine.scanner.scan("%REPRINT")
    assert machine.steps.next("receipt_printed")["copy"]


def test_unplugged_keys_and_printer(machine: Register, alice: Customer) -> None:
    """The display says so; when they are back, keys are taken and the receipt is printed."""
    machine.scanner.line.unplug()
    machine.steps.next("device_lost")
    machine.display.wait_for("Scanner unplugged")
    machine.scanner.line.plug()
    machine.steps.next("device_back")
    machine.printer.line.unplug()
    choose(machine, ADULT)
    asked = machine.pay()
    machine.tap(alice, *APPROVE).next("paid")
    machine.steps.next("device_lost")
    machine.printer.line.plug()
    assert machine.steps.next("receipt_printed")["payment_id"] == asked["payment_id"]


def test_nobody_presses_a_key(venue: Venue) -> None:
    """A choice that somebody left is not the next customer's."""
    machine = venue.ticket_machine("left-alone", "", "--rest-seconds", "2")
    choose(machine, ADULT)
    machine.steps.next("sale_cleared")
    machine.display.wait_for("1 Adult    25.00 EUR")
    machine.scanner.scan("%PAY")
    assert machine.steps.next("key_refused")["key"] == "%PAY"
    machine.close()
