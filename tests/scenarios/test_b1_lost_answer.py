"""B1, the answer is lost: the register asks again by the same id, and never pays twice.

The line between register and switch is in the test's hand: the switch settles, and the register
hears nothing of it. Until it does, the outcome is unknown and nothing is handed over.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from edge_agents.journal import PaymentState
from kessai.device_identity import write_identity
from simulators.devices.paper_roll import text_of
from tests.scenarios.following import Followed
from tests.scenarios.radios import OVER_BLE, OVER_NFC, Radio
from tests.scenarios.shop import APPROVE, BREAD, EGGS, MILK, Customer, Register, Shop, total_of
from tests.scenarios.wires import Line


@pytest.fixture(scope="module")
def line(shop: Shop) -> Iterator[Line]:
    """Give the line that the register calls over."""
    line = Line(shop.switch.address)
    yield line
    line.close()


@pytest.fixture(scope="module")
def running_register(shop: Shop, radio: Radio, line: Line, alice: Customer) -> Register:
    """Give a register that knows the switch by the line's address, and has called it once."""
    register = shop.register(f"till-cut-off-{radio.kind}", radio.reader(code=False))
    write_identity(register.folder, replace(register.identity, server_address=line.address))
    register.start()
    register.sell(alice, MILK)
    return register


def settle_unheard(
    shop: Shop, register: Register, line: Line, payer: Customer, *goods: str
) -> Followed:
    """Let the switch settle a purchase while its answers are lost; the phone comes back."""
    before = shop.switch.balance(payer.account)
    register.ring_up(*goods)
    line.withhold_answers()
    phone = register.tap(payer, *APPROVE)
    register.steps.next("settling")
    tick = threading.Event()
    for _ in range(1_000):
        if shop.switch.balance(payer.account) == before - total_of(*goods):
            break
        tick.wait(0.005)
    assert shop.switch.balance(payer.account) == before - total_of(*goods)
    assert register.journal()[0].state is PaymentState.AUTHORIZED
    return phone


@OVER_NFC
def test_the_switch_is_killed_after_it_settled(
    shop: Shop, register: Register, line: Line, alice: Customer
) -> None:
    """It comes back, is asked again under the same id, and gives the first answer."""
    before = shop.switch.balance(alice.account)
    phone = settle_unheard(shop, register, line, alice, BREAD)
    shop.switch.kill()
    line.heal()
    shop.switch.restart()
    phone.next("paid")
    register.steps.next("settled")
    register.display.wait_for("Paid EUR        3.49")
    assert shop.switch.balance(alice.account) == before - total_of(BREAD)
    shop.switch.verify()


@OVER_BLE
def test_the_switch_freezes_after_it_settled(
    shop: Shop, register: Register, line: Line, alice: Customer
) -> None:
    """The display says that it is not yet paid, nothing is printed, CANCEL does not help."""
    before, slips = shop.switch.balance(alice.account), len(register.printer.roll.slips)
    phone = settle_unheard(shop, register, line, alice, EGGS)
    shop.switch.process.send_signal(signal.SIGSTOP)
    try:
        register.scanner.scan("%CANCEL")
        assert register.steps.next("key_refused")["state"] == "settling"
        register.steps.next("unknown")
        register.display.wait_for("NOT YET PAID Do not hand over")
        assert "paid" not in phone.names
        assert len(register.printer.roll.slips) == slips
    finally:
        shop.switch.process.send_signal(signal.SIGCONT)
    line.heal()
    register.steps.next("settled")
    register.display.wait_for("Paid EUR        3.19")
    assert "PAID" in text_of(register.printer.wait_for_slips(slips + 1)[-1])
    assert shop.switch.balance(alice.account) == before - total_of(EGGS)
    shop.switch.verify()


@OVER_NFC
def test_the_register_is_killed_before_it_hears(
    shop: Shop, register: Register, line: Line, alice: Customer
) -> None:
    """Started again it says so, asks, prints; the customer's next tap fetches the receipt."""
    before, slips = shop.switch.balance(alice.account), len(register.printer.roll.slips)
    phone = settle_unheard(shop, register, line, alice, MILK)
    register.steps.kill()
    phone.kill()
    register.start()
    register.display.wait_for("NOT YET PAID Do not hand over")
    line.heal()
    register.steps.next("settled")
    register.display.wait_for("Paid EUR        1.29")
    register.printer.wait_for_slips(slips + 1)
    later = register.tap(alice, *APPROVE)
    later.next("paid")
    assert "purchase" not in later.names
    assert shop.switch.balance(alice.account) == before - total_of(MILK)
    shop.switch.verify()
