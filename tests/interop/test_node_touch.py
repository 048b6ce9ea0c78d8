"""A phone in Node is held to our readers over NFC and BLE, and a till in Node reads our phone.

Real agents as processes, with simulated barriers, door and till devices; between the two ends
nfcpy's field, or the simulated air of BlueZ. What the phone knows of the radios stands in
docs/protocols/nfc.md and ble.md.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulators.town import free_udp_port
from tests.interop.node_phone import NodePhone, run_node
from tests.interop.test_node_devices import offer_ticket
from tests.pairing import pair_agent, pair_phone
from tests.scenarios.following import PIN, Followed
from tests.scenarios.radios import KINDS, Nfc, Radio
from tests.scenarios.railway import FARE, MERCHANT, Gate, Railway, write_transfer_feed
from tests.scenarios.shop import APPROVE, MILK, PRICES, Register
from tests.scenarios.venue import TurnstileAgent

CASH = 500_00


@pytest.fixture(scope="module")
def railway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Railway]:
    """A carrier that also has a till and a turnstile; its books verify at the end."""
    opened = Railway(tmp_path_factory.mktemp("railway"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def radios(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Radio]]:
    """NFC and BLE."""
    opened = {kind: make(tmp_path_factory.mktemp(kind)) for kind, make in KINDS.items()}
    yield opened
    for radio in opened.values():
        radio.close()


@pytest.fixture(scope="module")
def account(railway: Railway) -> str:
    return railway.switch.open_account("wallet/noor", 700, CASH)


@pytest.fixture(scope="module")
def phone(railway: Railway, account: str, node_folder: Path) -> Iterator[NodePhone]:
    """A phone in Node, paired and certified."""
    made = NodePhone(node_folder)
    try:
        assert made.do("pair", railway.switch.pair_phone("noor", "noors-phone", account)) == account
        assert made.do("certify") == "adult"
        yield made
    finally:
        made.close()


def pass_through(gate: Gate, phone: NodePhone) -> None:
    """Tap and walk."""
    walker = threading.Thread(target=gate.walk, daemon=True)
    walker.start()
    with phone.held_to(gate.reader):
        gate.steps.next("passed")
    walker.join()
    gate.barrier.wait_until_shut()


@pytest.mark.parametrize("kind", KINDS)
def test_a_purchase_at_our_register(
    railway: Railway, radios: dict[str, Radio], phone: NodePhone, account: str, kind: str
) -> None:
    folder = railway.folder / f"till-{kind}"
    pair_agent(folder, railway.switch.pair_terminal(MERCHANT, f"till-{kind}"))
    register = Register(folder, radios[kind].reader())
    before = railway.switch.balance(account)
    try:
        register.start()
        register.ring_up(MILK)
        with phone.held_to(register.reader):
            register.steps.next("settled")
            register.steps.next("receipt_delivered")
        assert phone.do("shown", "receipt") == "receipt: 1"
        assert railway.switch.balance(account) == before - PRICES[MILK]
        register.close()
    finally:
        register.kill()


def test_a_ride_through_our_gates(railway: Railway, phone: NodePhone, account: str) -> None:
    before = railway.switch.balance(account)
    pass_through(railway.gate(Nfc(railway.folder), "entry", "harbour"), phone)
    assert phone.do("shown", "in at harbour")
    assert railway.switch.balance(account) == before
    pass_through(railway.gate(Nfc(railway.folder), "exit", "airport"), phone)
    assert phone.do("shown", f"out at airport: {FARE}")
    assert railway.switch.balance(account) == before - FARE


def test_a_transfer_through_our_gates(
    railway: Railway, phone: NodePhone, account: str, tmp_path: Path
) -> None:
    """The phone brings the journey from one ride to the next: 1.00 less to the airport."""
    before, feed = railway.switch.balance(account), write_transfer_feed(tmp_path)
    entry = railway.gate(Nfc(railway.folder), "entry", "harbour", f"{feed}\npassback_seconds = 0")
    for station, fare in (("central", 180), ("airport", FARE - 100)):
        pass_through(entry, phone)
        pass_through(railway.gate(Nfc(railway.folder), "exit", station, feed), phone)
        assert phone.do("shown", f"out at {station}: {fare}")
    assert railway.switch.balance(account) == before - 180 - FARE + 100


def test_an_entry_at_our_turnstile(railway: Railway, phone: NodePhone) -> None:
    offer = offer_ticket(railway.switch)
    folder = railway.folder / "turnstile"
    pair_agent(folder, railway.switch.pair_terminal(MERCHANT, "turnstile"))
    entrance = TurnstileAgent(folder, f"udp:127.0.0.1:{free_udp_port()}")
    till = railway.switch.pair_terminal(MERCHANT, "box-office")
    assert phone.do("buy", {"till": till, "offer": offer}) == "RECEIPT_ACCEPTED"
    try:
        entrance.start(event=str(offer["event_id"]))
        walker = threading.Thread(target=walk_through, args=(entrance,), daemon=True)
        walker.start()
        with phone.held_to(entrance.reader):
            entrance.steps.next("passed")
        walker.join()
        assert phone.do("shown", "come in") == "come in: 0 left"
        with phone.held_to(entrance.reader):
            assert entrance.steps.next("turned_away")["reason"] == "TICKET_USED"
    finally:
        entrance.close()


def walk_through(entrance: TurnstileAgent) -> None:
    entrance.turnstile.wait_until_open()
    entrance.turnstile.walk_through()


def test_our_phone_pays_at_a_till_in_node(railway: Railway, node_folder: Path) -> None:
    folder = railway.folder / "ann"
    account = railway.switch.open_account("wallet/ann", 701, CASH)
    pair_phone(folder, PIN, railway.switch.pair_phone("ann", "anns-phone", account))
    port = free_udp_port()
    command = ["phone", "tap", "--events", "--folder", str(folder)]
    command += ["--field", f"udp:127.0.0.1:{port}", *APPROVE]
    phone = Followed(command, railway.folder / "ann.log", "view")
    try:
        till = railway.switch.pair_terminal(MERCHANT, "node-till")
        told = run_node(node_folder, "ask.mjs", str(port), till, "1250")
        assert told == {"outcome": "SETTLED", "reason": "UNSPECIFIED", "phone": "RECEIPT_ACCEPTED"}
        assert phone.next("paid")
        assert railway.switch.balance(account) == CASH - 1250
    finally:
        phone.kill()
