"""SIGKILL of switch, agent, phone or relay at random moments of a vend: goods for money, or none.

After every kill the killed process starts again on what it left on the disk. Money is never taken
without goods. Goods without money there can be only if the agent was killed after the machine had
told it that the item fell, and before that was on its disk: nobody can know it then, and it is
decided for the customer. KESSAI_KILLS says how many kills, KESSAI_SEED repeats a run.
"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agents.journal import Entry, PaymentState
from simulators.town import free_udp_port
from tests.invariants.kill_cases import cases, kills
from tests.invariants.kill_table import ABSENT, UNSURE, WHOLE, KillTable
from tests.scenarios.fleet_server import FleetServer
from tests.scenarios.following import Followed
from tests.scenarios.shop import Shop
from tests.scenarios.vendor import (
    AGREE,
    CHOCOLATE,
    PRICES,
    SNACKS,
    WATER,
    Vendor,
    open_snacks,
    without_pin,
)

KILLS, KILLS_BEHIND = kills(3), kills(2)
CASH = 100_000_00
SCENE, SCENE_BEHIND = "vending machine", "vending, relayed"
OUTCOME_LIMIT_S = 40.0

VICTIMS = ("switch", "agent", "phone")
VICTIMS_BEHIND = ("relay", *VICTIMS)
# The step after which the kill comes, and within how many seconds.
WINDOWS = (
    ("waiting_for_tap", 0.8),
    ("phone_seen", 0.1),
    ("authorized", 0.02),
    ("approved", 0.01),
    ("approved", 0.4),
    ("delivered", 0.02),
)
FINAL = (
    PaymentState.SETTLED,
    PaymentState.VOIDED,
    PaymentState.DECLINED,
    PaymentState.ABANDONED,
)


class Killer:
    """Plays vends at one machine, and kills somebody in each."""

    def __init__(self, shop: Shop, seed: int, table: KillTable, behind: bool = False) -> None:
        """`behind`: the machine has a line to its fleet's server only."""
        self.shop, self.dice, self.table = shop, random.Random(seed), table
        self.scene = SCENE_BEHIND if behind else SCENE
        table.expect(self.scene, (step for step, _ in WINDOWS))
        self.account = open_snacks(shop)
        self.relay = FleetServer(shop, SNACKS) if behind else None
        if self.relay is not None:
            self.relay.start()
        self.payer = without_pin(shop.customer("payer", CASH))
        self.vendor = Vendor(shop, "machine-1", f"udp:127.0.0.1:{free_udp_port()}")
        self.spent = 0
        self._start()

    def kill_one(self, victim: str, window: tuple[str, float]) -> None:
        """Let the customer buy, kill the victim within the window, and see what became of it."""
        machine, item = self.vendor.machine, self.dice.choice((WATER, CHOCOLATE))
        machine.shelves[item].stock, machine.jammed = 5, self.dice.random() < 0.2
        machine.tray.clear()
        asked = self.vendor.select(item)
        phone = self.vendor.tap(self.payer, *AGREE)
        step = window[0]
        if step != "waiting_for_tap":
            step = str(self.vendor.steps.next(step, "failed", "declined")["event"])
        time.sleep(self.dice.uniform(0, window[1]))  # the kill comes at a random moment
        self._kill(victim, phone)
        entry = self._conclude(str(asked["payment_id"]))
        self.vendor.send_phones_away()
        outcome = self._check(entry, victim, PRICES[item])
        self.table.add(self.scene, victim, step, outcome)

    def check_all(self) -> None:
        """Count the money: what is not the customer's any more is the machine's, nothing held."""
        self.shop.switch.verify()
        assert self.shop.switch.balance(self.payer.account) == CASH - self.spent
        assert self.shop.switch.available(self.payer.account) == CASH - self.spent
        self.shop.earned()
        assert self.shop.switch.balance(self.account) == self.spent

    def _start(self) -> None:
        words = ["--ask-seconds", "2", "--vend-seconds", "5", "--request-seconds", "10"]
        if self.relay is not None:
            words += ["--relay", self.relay.relay]
        self.vendor.start(*words)

    def close(self) -> None:
        """Stop the machine and its fleet's server."""
        self.vendor.close()
        if self.relay is not None:
            self.relay.close()

    def _kill(self, victim: str, phone: Followed) -> None:
        if victim == "switch":
            self.shop.switch.kill()
            self.shop.switch.restart()
        elif victim == "relay" and self.relay is not None:
            self.relay.kill()
            self.relay.start()
        elif victim == "agent":
            self.vendor.kill()
            self._start()
        else:
            phone.kill()

    def _conclude(self, payment_id: str) -> Entry:
        """Wait until the agent knows the outcome and the machine waits for the next customer."""
        machine, deadline = self.vendor.machine, time.monotonic() + OUTCOME_LIMIT_S
        while time.monotonic() < deadline:
            entry = self.vendor.entry(payment_id)
            if entry.state in FINAL and machine.state == "ready":
                return entry
            if entry.state in (*FINAL, PaymentState.REQUESTED):
                machine.cancel()
            time.sleep(0.02)
        names = self.vendor.steps.names
        raise AssertionError(f"{payment_id} is {entry.state}, {machine.state}: {names}")

    def _check(self, entry: Entry, victim: str, price: int) -> str:
        """Hold the agent's outcome against what lies in the tray, and against the money."""
        fell, paid = len(self.vendor.machine.tray), entry.state is PaymentState.SETTLED
        assert fell <= 1
        self.spent += price if paid else 0
        assert self.shop.switch.balance(self.payer.account) == CASH - self.spent
        assert fell or not paid, f"money without goods: {entry.note}"
        outcome = (WHOLE if paid else UNSURE) if fell else ABSENT
        assert outcome != UNSURE or victim == "agent", entry.note
        return outcome


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """Give a shop whose books verify at the end."""
    opened = Shop(tmp_path)
    yield opened
    opened.close()


@pytest.mark.timeout(120 + 12 * KILLS)
def test_goods_for_money_or_neither(shop: Shop, random_seed: int, kill_table: KillTable) -> None:
    """Whoever is killed, whenever."""
    play(Killer(shop, random_seed, kill_table), VICTIMS, KILLS)


@pytest.mark.full
@pytest.mark.timeout(120 + 12 * KILLS_BEHIND)
def test_the_same_behind_a_fleets_server(
    shop: Shop, random_seed: int, kill_table: KillTable
) -> None:
    """The server is killed, too."""
    play(Killer(shop, random_seed, kill_table, behind=True), VICTIMS_BEHIND, KILLS_BEHIND)


def play(killer: Killer, victims: tuple[str, ...], count: int) -> None:
    """Kill so many times, then count."""
    try:
        for case in itertools.islice(cases(killer.dice, victims, WINDOWS), count):
            killer.kill_one(*case)
        killer.check_all()
    finally:
        killer.close()
