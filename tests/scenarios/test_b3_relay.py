"""B3 through the server of the fleet's operator, which can alter nothing and learns no account."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import grpc
import pytest

from edge_agents.journal import PaymentState
from kessai.device_identity import load_identity
from kessai.relayed import RELAY_METHOD
from tests.pairing import pair_agent
from tests.running import kessai
from tests.scenarios.fleet_server import FleetServer
from tests.scenarios.following import Followed, Step
from tests.scenarios.hostile_server import HostileServer, Pass, honest, hostile_server
from tests.scenarios.radios import OVER_NFC, Radio
from tests.scenarios.shop import Customer, Shop
from tests.scenarios.vendor import (
    AGREE,
    CHOCOLATE,
    NUTS,
    SNACKS,
    SNACKS_NAME,
    WATER,
    Vendor,
    open_snacks,
    without_pin,
)

TIMES = ("--ask-seconds", "2", "--vend-seconds", "5")
NO_LINE = "No line to the bank. Not paid"
# A hold that an attempt left behind is looked for with growing pauses.
AGAIN_S = 40.0


@pytest.fixture(scope="module")
def snacks(shop: Shop) -> str:
    """Give the account of the machines' merchant."""
    return open_snacks(shop)


@pytest.fixture(scope="module")
def relay(shop: Shop, snacks: str) -> Iterator[FleetServer]:
    """Give the fleet's server, which runs."""
    server = FleetServer(shop, SNACKS)
    server.start()
    yield server
    server.close()


@pytest.fixture(scope="module")
def machine_behind(shop: Shop, relay: FleetServer, radio: Radio) -> Iterator[Vendor]:
    """Give a machine that has a line to its fleet's server, and no other."""
    vendor = Vendor(shop, f"relayed-{radio.kind}", radio.reader())
    vendor.start("--relay", relay.relay, *TIMES)
    yield vendor
    vendor.close()


@pytest.fixture
def vendor(machine_behind: Vendor) -> Iterator[Vendor]:
    """Give that machine, healthy and full, for the next customer."""
    machine = machine_behind.machine
    machine.jammed, machine.motor_s = False, 0.3
    machine.tray.clear()
    machine.shelves[WATER].stock = machine.shelves[CHOCOLATE].stock = 5
    yield machine_behind
    machine_behind.send_phones_away()
    machine.cancel()
    machine.wait_for(lambda: machine.state == "ready")


@pytest.fixture(scope="module")
def ann(shop: Shop) -> Customer:
    """Give a customer with 1,000.00 EUR whose phone pays up to 5.00 without PIN."""
    return without_pin(shop.customer("ann", 1_000_00))


def test_an_item_is_sold(
    shop: Shop, vendor: Vendor, relay: FleetServer, ann: Customer, snacks: str
) -> None:
    """Held, given out, captured through the fleet's server, which tells what was sold."""
    before = shop.switch.balance(ann.account)
    asked = vendor.select(WATER)
    phone = vendor.tap(ann, *AGREE)
    assert phone.next("purchase")["shop"] == SNACKS_NAME
    for step in ("held", "approved", "delivered", "settled"):
        assert vendor.steps.next(step)["payment_id"] == asked["payment_id"]
    vendor.shows("Enjoy it!")
    phone.next("paid")
    assert vendor.machine.tray == ["Sparkling water"]
    assert vendor.entry(asked["payment_id"]).state is PaymentState.SETTLED
    machine = f"agent/{SNACKS}/{vendor.folder.name}"
    held, captured = passed_for(relay, machine), passed_for(relay, machine)
    assert (held["items"], held["amount_minor"]) == ("1 x 7 Sparkling water", 150)
    assert (held["outcome"], captured["outcome"]) == ("held", "settled")
    assert shop.switch.balance(ann.account) == before - 150


def passed_for(relay: FleetServer, machine: str) -> Step:
    """The next call that was passed for a machine, whatever others sold before."""
    step = relay.steps.next("passed")
    while step["machine"] != machine:
        step = relay.steps.next("passed")
    return step


@OVER_NFC
def test_a_jam_gives_the_money_back(shop: Shop, vendor: Vendor, ann: Customer) -> None:
    """Nothing fell: the hold is voided through the fleet's server."""
    before = shop.switch.available(ann.account)
    vendor.machine.jammed = True
    vendor.select(WATER)
    phone = vendor.tap(ann, *AGREE)
    vendor.steps.next("voided")
    assert phone.next("not-paid")["reason"] == "VOIDED"
    assert (vendor.machine.tray, shop.switch.available(ann.account)) == ([], before)


@OVER_NFC
def test_a_decline_is_shown(shop: Shop, vendor: Vendor, relay: FleetServer) -> None:
    """Sold out asks nobody; too little money is told on machine, phone and at the server."""
    vendor.machine.shelves[NUTS].stock = 0
    vendor.machine.select(NUTS)
    vendor.shows("Sold out")
    poor = without_pin(shop.customer("poor", 100))
    vendor.select(WATER)
    phone = vendor.tap(poor, *AGREE)
    assert vendor.steps.next("declined")["reason"] == "INSUFFICIENT_FUNDS"
    vendor.shows("Not enough money")
    assert phone.next("not-paid")["reason"] == "INSUFFICIENT_FUNDS"
    while (told := relay.steps.next("passed"))["outcome"] != "declined":
        pass
    assert told["reason"] == "INSUFFICIENT_FUNDS"


@OVER_NFC
def test_the_server_is_killed_while_the_item_falls(
    shop: Shop, vendor: Vendor, relay: FleetServer, ann: Customer
) -> None:
    """Between hold and capture: the machine goes on asking, and captures once it is back."""
    before = shop.switch.balance(ann.account)
    vendor.machine.motor_s = 1.0
    asked = vendor.select(WATER)
    phone = vendor.tap(ann, *AGREE)
    vendor.machine.wait_for(lambda: vendor.machine.state == "giving out")
    relay.kill()
    vendor.steps.next("out_of_touch")
    vendor.machine.wait_for(lambda: vendor.machine.tray == ["Sparkling water"])
    vendor.shows("Enjoy it!")
    relay.start()
    assert vendor.steps.next("settled", timeout_s=AGAIN_S)["payment_id"] == asked["payment_id"]
    phone.next("paid")
    assert shop.switch.balance(ann.account) == before - 150


@OVER_NFC
def test_the_server_is_away_and_the_switch_is_there(
    shop: Shop, vendor: Vendor, relay: FleetServer, ann: Customer
) -> None:
    """Nothing is given out; what turns out to be held is given back."""
    before = shop.switch.available(ann.account)
    relay.kill()
    try:
        vendor.select(CHOCOLATE)
        phone = vendor.tap(ann, *AGREE)
        vendor.shows(NO_LINE)
        vendor.machine.wait_for(lambda: vendor.machine.state == "ready")
    finally:
        relay.start()
    vendor.steps.next("voided", timeout_s=AGAIN_S)
    assert phone.next("not-paid")["reason"] == "VOIDED"
    assert (vendor.machine.tray, shop.switch.available(ann.account)) == ([], before)


@OVER_NFC
def test_the_server_is_there_and_the_switch_is_away(
    shop: Shop, vendor: Vendor, relay: FleetServer, ann: Customer
) -> None:
    """The customer sees the same; the server says what is away."""
    shop.switch.kill()
    try:
        vendor.select(CHOCOLATE)
        phone = vendor.tap(ann, *AGREE)
        vendor.shows(NO_LINE)
        vendor.machine.wait_for(lambda: vendor.machine.state == "ready")
        assert "does not answer" in relay.steps.next("out_of_touch", timeout_s=AGAIN_S)["why"]
    finally:
        shop.switch.restart()
    vendor.steps.next("voided", timeout_s=AGAIN_S)
    assert phone.next("not-paid")["reason"] == "VOIDED"
    assert vendor.machine.tray == []


@OVER_NFC
def test_nothing_that_the_server_has_names_the_customer(
    shop: Shop, vendor: Vendor, relay: FleetServer, ann: Customer
) -> None:
    """Its log, its events and its folder: no account, no wallet."""
    vendor.buy(ann, WATER)
    written = [path.read_bytes() for path in relay.folder.rglob("*") if path.is_file()]
    told = [*written, *(str(step).encode() for step in relay.steps.told)]
    assert any(b"Sparkling water" in text for text in told)
    for secret in secrets_of(ann):
        assert not any(secret in text for text in told), secret


def secrets_of(customer: Customer) -> list[bytes]:
    """What names a customer: account number and wallet, in any form that documents have."""
    number = customer.account.encode()
    return [number, number[:4] + b"-" + number[4:], customer.name.encode()]


@pytest.fixture(scope="module")
def hostile(shop: Shop, snacks: str) -> Iterator[HostileServer]:
    """Give a fleet's server that somebody broke into."""
    fleet = FleetServer(shop, SNACKS, fleet="broken")
    with hostile_server(load_identity(fleet.folder), fleet.fleet) as server:
        yield server


def another_s_answer(hostile: HostileServer) -> Pass:
    """The answer to the first sale, which was held: it was well signed."""
    first = hostile.answered[0]
    return lambda _: first


def test_a_hostile_server(
    shop: Shop, radios: dict[str, Radio], hostile: HostileServer, ann: Customer
) -> None:
    """It answers with another sale's answer, alters answers, swallows and repeats: nothing moves.

    The machine gives nothing out, and what was held is given back once it is honest.
    """
    before = shop.switch.available(ann.account)
    with closing(Vendor(shop, "hostile", radios["nfc"].reader())) as vendor:
        vendor.start("--relay", hostile.relay, *TIMES)
        vendor.buy(ann, WATER)
        vendor.machine.tray.clear()
        replayed = another_s_answer(hostile)
        for trick in (
            lambda request, pass_on: (pass_on(request), replayed(request))[1],
            lambda request, pass_on: bytes([pass_on(request)[0]]) + b"\xff",
            lambda request, pass_on: pass_on(request)[:-1] + b"\xff",
            lambda request, _: request,
        ):
            hostile.trick = trick
            vendor.select(CHOCOLATE)
            vendor.tap(ann, *AGREE)
            vendor.shows(NO_LINE)
            vendor.send_phones_away()
            vendor.machine.wait_for(lambda: vendor.machine.state == "ready")
            hostile.trick = honest
            vendor.steps.next("voided", timeout_s=AGAIN_S)
        heard = list(hostile.heard)
        assert vendor.machine.tray == []
    with shop.switch.channel(load_identity(shop.folder / "fleet-broken")) as channel:
        repeat: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(RELAY_METHOD)
        for request in heard:
            repeat(request, timeout=10)
    assert shop.switch.available(ann.account) == before - 150
    passed = heard + hostile.answered
    assert not any(secret in text for text in passed for secret in secrets_of(ann))


def test_what_does_not_go_through_is_said_at_start(shop: Shop, relay: FleetServer) -> None:
    """One line each, before anything is asked."""
    folder = shop.folder / "at-start"
    vendor = ["agent", "vending", "--folder", str(folder), "--relay", relay.relay]
    pair_agent(folder, shop.switch.pair_terminal(SNACKS, "at-start"))
    for words, said in (
        ([*vendor, "--submission", "direct"], "do not go together"),
        ([*vendor[:-1], "nordic"], "should be FLEET@HOST:PORT"),
        (["agent", "relay", "--folder", str(folder)], "not of a fleet's server"),
        (["agent", "vending", "--folder", str(relay.folder)], "not of a terminal"),
        (
            ["agent", "relay", "--folder", str(relay.folder), "--listen", relay.address],
            "cannot listen on",
        ),
        (["agent", "relay", "--folder", str(relay.folder), "--listen", "x"], "cannot listen on"),
        (
            ["agent", "relay", "--folder", str(relay.folder), "--listen", "127.0.0.1:99999"],
            "cannot listen on 127.0.0.1:99999",
        ),
        (["agent", "relay", "--folder", str(folder / "none")], "holds no paired device"),
    ):
        done = kessai(*words, check=False)
        assert (done.returncode, said in done.stderr) == (1, True), (words, done.stderr)
        assert "Traceback" not in done.stderr


def test_a_server_that_is_revoked(shop: Shop, snacks: str) -> None:
    """It says so in one line, and passes nothing."""
    server = FleetServer(shop, SNACKS, fleet="ended")
    shop.switch.revoke("relay/ended")
    command = ["agent", "relay", "--events", "--folder", str(server.folder)]
    running = Followed([*command, "--listen", "127.0.0.1:0"], server.log, "event")
    assert "CERTIFICATE_REFUSED" in running.next("refused_by_switch")["why"]
    assert running.stop() == 0
