"""Over BLE the right phone pays, among several in reach, whatever the others and their links do.

Air, switch, registers and phones are processes of their own. What a purchase is over either radio
is in `test_b1_register_purchase.py`.
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge_agents.journal import PaymentState
from simulators.air.air import Air
from tests.running import KESSAI
from tests.scenarios.following import PIN
from tests.scenarios.shop import APPROVE, BREAD, EGGS, MILK, Customer, Register, Shop, total_of

POLL_S = 0.02
POLLS = 1_000


@pytest.fixture(scope="module")
def air(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the moniker of an air that is a process of its own."""
    socket = tmp_path_factory.mktemp("air") / "air"
    command = [KESSAI, "simulate", "air", "--socket", str(socket)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    told = process.stdout.readline()
    assert str(socket) in told
    yield f"ble:unix:path={socket}"
    process.stdin.close()
    assert process.wait(60) == 0
    process.stdout.close()


@pytest.fixture(scope="module")
def running_register(shop: Shop, air: str) -> Register:
    """Give a register that draws a code for each payment."""
    register = shop.register("till-air", air)
    register.start()
    return register


def test_the_phone_that_was_given_the_code_pays(
    shop: Shop, register: Register, alice: Customer
) -> None:
    """Not the neighbour's at the next till, nor one that is far away and knows the code."""
    before = shop.switch.balance(alice.account)
    neighbour, distant = shop.customer("nora", 5_000), shop.customer("dora", 5_000)
    register.ring_up(BREAD)
    code = register.steps.latest("code_shown", since="waiting_for_tap")["code"]
    register.display.wait_for(f"To pay EUR      3.49 Code for phone: {code}")
    other = f"{(int(code) + 1) % 10_000:04}"
    here = register.tap(neighbour, *APPROVE, field=f"{register.reader},code={other},rssi=-30")
    there = register.tap(distant, *APPROVE, field=f"{register.field},rssi=-90")
    for phone in (here, there):
        phone.next("idle")
    right = register.tap(alice, *APPROVE)
    right.next("paid")
    assert (here.names, there.names) == (["idle"], ["idle"])
    assert shop.switch.balance(alice.account) == before - total_of(BREAD)
    assert shop.switch.balance(neighbour.account) == 5_000
    assert shop.switch.balance(distant.account) == 5_000


def test_the_code_of_the_last_sale_is_over(shop: Shop, register: Register, alice: Customer) -> None:
    """A phone that still advertises it is not asked to pay the next customer's basket."""
    slow = shop.customer("slow", 5_000)
    register.ring_up(MILK)
    former = register.field
    register.clear()
    register.ring_up(EGGS)
    assert register.field != former
    late = register.tap(slow, *APPROVE, field=former)
    late.next("idle")
    register.tap(alice, *APPROVE).next("paid")
    assert late.names == ["idle"]
    assert shop.switch.balance(slow.account) == 5_000


def test_two_phones_with_one_code(shop: Shop, alice: Customer, tmp_path: Path) -> None:
    """Neither is asked; the display shows another code, and who enters that one pays."""
    claimants = [shop.customer(name, 5_000) for name in ("mallory", "oscar")]
    opened = Air(tmp_path / "air")
    register = shop.register("till-claimed", opened.moniker)
    register.start()
    opened.shut()
    register.ring_up(BREAD)
    former = register.field
    waiting = [register.tap(who, *APPROVE, field=former) for who in claimants]
    wait_until(lambda: len(opened.phones()) == 2)
    opened.open()
    register.steps.next("code_shown")
    code = register.steps.next("code_shown")["code"]
    register.display.wait_for(f"Code for phone: {code}")
    assert [phone.names for phone in waiting] == [["idle"], ["idle"]]
    register.tap(alice, *APPROVE, field=f"{opened.moniker},code={code}").next("paid")
    assert [shop.switch.balance(who.account) for who in claimants] == [5_000, 5_000]
    register.close()
    opened.close()


@pytest.mark.parametrize(
    "bad",
    ["mtu=23,drop=400", "mtu=100,drop=900", "fault=silent", "fault=babble", "fault=vanish"],
)  # fmt: skip
def test_a_bad_phone_or_link(shop: Shop, register: Register, alice: Customer, bad: str) -> None:
    """The register goes on waiting; the customer's next try pays, and pays once."""
    before = shop.switch.balance(alice.account)
    asked = register.ring_up(MILK)
    phone = register.tap(alice, *APPROVE, field=f"{register.field},{bad}")
    phone.next("idle")
    if bad != "fault=vanish":
        register.steps.next("phone_left")
    phone.kill()
    register.tap(alice, *APPROVE).next("paid")
    assert register.entry(asked["payment_id"]).state is PaymentState.SETTLED
    assert shop.switch.balance(alice.account) == before - total_of(MILK)


def test_a_register_that_is_killed_finds_its_phone(shop: Shop, air: str, alice: Customer) -> None:
    """With a code that stays, the phone need not be touched: bluetoothd still holds its link."""
    before = shop.switch.balance(alice.account)
    register = shop.register("till-sticker", f"{air},code=9999")
    register.start()
    register.ring_up(BREAD)
    phone = register.tap(alice, *APPROVE, "--think", "1.5")
    register.steps.next("customer_deciding")
    register.steps.kill()
    phone.next("authorized")
    register.start()
    phone.next("paid")
    assert register.steps.next("settled")["amount_minor"] == total_of(BREAD)
    assert shop.switch.balance(alice.account) == before - total_of(BREAD)
    register.close()


def test_a_phone_without_a_code(shop: Shop, air: str, alice: Customer) -> None:
    """It says what is missing, in a sentence."""
    command = [KESSAI, "phone", "tap", "--folder", str(alice.folder), "--field", air, *APPROVE]
    ended = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=30, input=PIN
    )
    assert ended.returncode == 1
    assert "four digits that the terminal shows" in ended.stderr.replace("\n", " ")


def test_an_air_that_is_not_there(shop: Shop, alice: Customer, tmp_path: Path) -> None:
    """For the phone, and for the register."""
    nowhere = f"ble:unix:path={tmp_path / 'nowhere'},code=0001"
    phone = [KESSAI, "phone", "tap", "--folder", str(alice.folder), "--field", nowhere, *APPROVE]
    register = shop.register("till-nowhere", nowhere)
    till = [KESSAI, "agent", "register", "--folder", str(register.folder), "--reader", nowhere]
    till += ["--scanner", str(register.folder / "lines/scanner")]
    till += ["--display", str(register.folder / "lines/display")]
    till += ["--printer", str(register.folder / "lines/printer")]
    for command, says in ((phone, "No phone can be reached"), (till, "No phone can pay here")):
        ended = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=30, input=PIN
        )
        assert (ended.returncode, "Traceback" in ended.stderr) == (1, False)
        assert says in ended.stderr.replace("\n", " ")


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait for something that tells nobody when it happens; at most 20 seconds."""
    tick = threading.Event()
    for _ in range(POLLS):
        if holds():
            return
        tick.wait(POLL_S)
    raise AssertionError("it did not happen in time")
