"""SIGKILL of switch, machine or phone at random moments of a sale of a ticket: who paid has it.

After every kill the killed process starts again on what it left on the disk, and the customer taps
again. The phone then has a ticket for each payment that was settled, and for no other. Half of the
sales are submitted by the machine, half by the phone's own line.
KESSAI_KILLS says how many kills, KESSAI_SEED repeats a run.
"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Iterator

import pytest

from edge_agents.journal import Entry, PaymentState
from tests.invariants.kill_cases import cases, kills
from tests.invariants.kill_table import ABSENT, WHOLE, KillTable
from tests.scenarios.following import Followed
from tests.scenarios.shop import APPROVE, Shop
from tests.scenarios.venue import PRICE, Venue

KILLS = kills(4)
CASH = 100_000_00
OUTCOME_LIMIT_S = 40.0

VICTIMS = ("switch", "machine", "phone")
# By who submits: the step after which the kill comes, and within how many seconds.
WINDOWS = {
    "relayed": (
        ("waiting_for_tap", 0.8),
        ("phone_seen", 0.1),
        ("authorized", 0.03),
        ("settled", 0.05),
    ),
    "direct": (
        ("waiting_for_tap", 0.8),
        ("phone_seen", 0.3),
        ("submitting", 0.3),
        ("settled", 0.05),
    ),
}
SCENES = {"relayed": "ticket machine", "direct": "ticket, own line"}
FINAL = (PaymentState.SETTLED, PaymentState.DECLINED, PaymentState.ABANDONED)


class Killer:
    """Buys tickets at one machine, and kills somebody in each sale."""

    def __init__(self, venue: Venue, submission: str, seed: int, table: KillTable) -> None:
        self.shop, self.venue, self.dice = venue.shop, venue, random.Random(seed)
        self.payer = self.shop.customer("payer", CASH)
        self._words = ("--submission", submission)
        self.machine = venue.ticket_machine(f"machine-{submission}", "", *self._words)
        self.bought = 0
        self.table, self.scene = table, SCENES[submission]
        table.expect(self.scene, (step for step, _ in WINDOWS[submission]))

    def kill_one(self, victim: str, window: tuple[str, float]) -> None:
        """Let the customer buy, kill the victim within the window, and see what became of it."""
        self._choose()
        asked = self.machine.pay()
        phone = self.machine.tap(self.payer, *APPROVE)
        if window[0] != "waiting_for_tap":
            self.machine.steps.next(window[0], "settled")  # a quick phone leaves one out
        time.sleep(self.dice.uniform(0, window[1]))  # the kill comes at a random moment
        self._kill(victim, phone)
        entry = self._conclude(str(asked["payment_id"]))
        self.machine.send_phones_away()
        is_bought = entry.state is PaymentState.SETTLED
        self.bought += is_bought
        self.table.add(self.scene, victim, window[0], WHOLE if is_bought else ABSENT)
        assert self.venue.tickets_on(self.payer) == self.bought
        assert self.shop.switch.balance(self.payer.account) == CASH - self.bought * PRICE
        self.machine.clear()

    def _choose(self) -> None:
        """Choose a ticket, as soon as the machine sells again."""
        deadline = time.monotonic() + OUTCOME_LIMIT_S
        while True:
            self.machine.scanner.scan("1")
            if self.machine.steps.next("ticket_chosen", "no_offers")["event"] == "ticket_chosen":
                return
            assert time.monotonic() < deadline, "the machine does not sell any more"
            self.machine.steps.next("offers_taken")

    def _kill(self, victim: str, phone: Followed) -> None:
        if victim == "switch":
            self.shop.switch.kill()
            self.shop.switch.restart()
        elif victim == "machine":
            self.machine.kill()
            self.machine.start("--refresh-seconds", "1", *self._words)
            self.machine.steps.next("offers_taken")
        else:
            phone.kill()

    def _conclude(self, payment_id: str) -> Entry:
        """Tap until there is an outcome, and the phone has what it paid for."""
        deadline, phone = time.monotonic() + OUTCOME_LIMIT_S, None
        while time.monotonic() < deadline:
            entry = self.machine.entry(payment_id)
            if entry.state in FINAL and (entry.delivered or entry.receipt is None):
                return entry
            if phone is None or not phone.is_running:
                self.machine.send_phones_away()
                phone = self.machine.tap(self.payer, *APPROVE)
            time.sleep(0.05)
        names = self.machine.steps.names
        raise AssertionError(f"{payment_id} is {entry.state}, {entry.delivered}: {names}")


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    """Give a shop that sells tickets, whose books verify at the end."""
    shop = Shop(tmp_path_factory.mktemp("ticket-machine"))
    yield Venue(shop)
    shop.close()


@pytest.mark.timeout(120 + 15 * KILLS)
@pytest.mark.parametrize("submission", WINDOWS)
def test_who_paid_has_the_ticket(
    venue: Venue, submission: str, random_seed: int, kill_table: KillTable
) -> None:
    """Whoever is killed, whenever."""
    earned = venue.shop.earned()
    killer = Killer(venue, submission, random_seed, kill_table)
    drawn = cases(killer.dice, VICTIMS, WINDOWS[submission])
    for case in itertools.islice(drawn, -(-KILLS // len(WINDOWS))):
        killer.kill_one(*case)
    venue.shop.switch.verify()
    assert venue.shop.earned() - earned == killer.bought * PRICE
    killer.machine.close()
