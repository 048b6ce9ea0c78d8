"""SIGKILL of switch, register or phone at random moments of a payment: whole, or absent.

After every kill the killed process starts again on what it left on the disk. Then the payment is
either whole (payer debited once, receipt to be had, register and switch agree) or absent (nothing
moved), and the books verify. KESSAI_KILLS says how many kills, KESSAI_SEED repeats a run.
"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge_agents.journal import Entry, PaymentState
from server.domain.command import CommandKind
from simulators.devices.paper_roll import text_of
from tests.invariants.kill_cases import cases, kills
from tests.invariants.kill_table import ABSENT, WHOLE, KillTable
from tests.scenarios.following import Followed
from tests.scenarios.shop import APPROVE, PRICES, SHARDS, Customer, Shop, shards_of

KILLS = kills(3)
CASH = 1_000_000_00
SCENE = "register"
OUTCOME_LIMIT_S = 60.0

VICTIMS = ("switch", "register", "phone")
WAITING = "waiting_for_tap"
# Whose step it is, the step after which the kill comes, and within how many seconds.
WINDOWS = (
    ("", WAITING, 0.6),
    ("register", "phone_seen", 0.06),
    ("phone", "enter-pin", 0.08),
    ("register", "authorized", 0.004),
    ("register", "settling", 0.012),
    ("register", "settled", 0.03),
)
FINAL = (PaymentState.SETTLED, PaymentState.DECLINED, PaymentState.ABANDONED)


class Killer:
    """Plays purchases in one shop, and kills somebody in each."""

    def __init__(self, shop: Shop, seed: int, table: KillTable) -> None:
        self.shop, self.dice, self.table = shop, random.Random(seed), table
        table.expect(SCENE, (step for _, step, _ in WINDOWS))
        self.payers = [shop.customer(f"payer-{n}", CASH, shard=n) for n in range(SHARDS)]
        self.balances = dict.fromkeys((payer.account for payer in self.payers), CASH)
        self.register = shop.register("till-1")
        self.register.start()

    def kill_one(self, victim: str, window: tuple[str, str, float]) -> None:
        """Let a customer pay, kill the victim within the window, and see what became of it."""
        payer = self.dice.choice(self.payers)
        asked = self.register.ring_up(self.dice.choice(list(PRICES)))
        phones = [self.register.tap(payer, *APPROVE)]
        self._await_window(phones[0], window)
        if self.dice.random() < 0.5:
            phones[0].kill()  # the customer walks away, too
        self._kill(victim, phones[0])
        entry = self._conclude(str(asked["payment_id"]), payer, phones)
        self.register.send_phones_away()
        outcome = self._check(entry, payer, phones)
        self.table.add(SCENE, victim, window[1], outcome)
        if victim == "switch":
            self.shop.switch.verify()

    def check_all(self) -> None:
        """Compare journal, paper and ledger payment by payment, and count the money."""
        self.shop.switch.verify()
        paid = {e.pending.request_id: e for e in self.register.journal() if e.receipt is not None}
        assert all(entry.state is PaymentState.SETTLED for entry in paid.values())
        assert settled_in_the_log(self.shop.switch.folder) == {
            request_id: entry.pending.total.minor for request_id, entry in paid.items()
        }
        total = sum(entry.pending.total.minor for entry in paid.values())
        assert self.shop.earned() == total
        left = sum(self.shop.switch.balance(payer.account) for payer in self.payers)
        assert left + total == CASH * len(self.payers)
        wait_until(lambda: all(e.printed for e in self.register.journal() if e.receipt))
        paper = "\n".join(text_of(slip) for slip in self.register.printer.roll.slips)
        assert [
            e.pending.payment_id for e in paid.values() if e.pending.payment_id not in paper
        ] == []

    def _await_window(self, phone: Followed, window: tuple[str, str, float]) -> None:
        whose, step, seconds = window
        if whose:
            (phone if whose == "phone" else self.register.steps).next(step)
        time.sleep(self.dice.uniform(0, seconds))  # the kill comes at a random moment

    def _kill(self, victim: str, phone: Followed) -> None:
        if victim == "switch":
            self.shop.switch.kill()
            self.shop.switch.restart()
        elif victim == "register":
            self.register.steps.kill()
            self.register.start()
        else:
            phone.kill()

    def _conclude(self, payment_id: str, payer: Customer, phones: list[Followed]) -> Entry:
        """Go on as people would until the register knows the outcome."""
        comes_back = self.dice.random() < 0.4
        deadline = time.monotonic() + OUTCOME_LIMIT_S
        while time.monotonic() < deadline:
            entry = self.register.entry(payment_id)
            if entry.state in FINAL:
                return entry
            if entry.state is PaymentState.REQUESTED and not phones[-1].is_running:
                if comes_back and len(phones) < 3:
                    phones.append(self.register.tap(payer, *APPROVE))
                else:
                    self.register.scanner.scan("%CANCEL")
                    self.register.steps.next("sale_cleared", "key_refused")
            time.sleep(0.01)
        raise AssertionError(f"{payment_id} is still {entry.state}: {self.register.steps.names}")

    def _check(self, entry: Entry, payer: Customer, phones: list[Followed]) -> str:
        """Hold the register's outcome against the switch's, and against the money."""
        receipt = self.shop.find(self.register.identity, entry.pending.payment_id)
        whole = entry.state is PaymentState.SETTLED
        if whole:
            assert receipt is not None
            assert entry.receipt is not None
            assert receipt.payload == entry.receipt.payload
            self.balances[payer.account] -= entry.pending.total.minor
        else:
            assert (entry.state, receipt) == (PaymentState.ABANDONED, None)
            assert not any("paid" in phone.names for phone in phones)
        assert self.shop.switch.balance(payer.account) == self.balances[payer.account]
        return WHOLE if whole else ABSENT


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """Give a shop whose books verify at the end."""
    opened = Shop(tmp_path)
    yield opened
    opened.close()


@pytest.mark.timeout(90 + 5 * KILLS)
def test_a_payment_is_whole_or_absent(shop: Shop, random_seed: int, kill_table: KillTable) -> None:
    """Whoever is killed, whenever: nothing lost, nothing twice, and both ends know the same."""
    killer = Killer(shop, random_seed, kill_table)
    for case in itertools.islice(cases(killer.dice, VICTIMS, WINDOWS), KILLS):
        killer.kill_one(*case)
    killer.check_all()


def settled_in_the_log(data: Path) -> dict[bytes, int]:
    """Read from the settlement logs what was paid: request id and amount, minor units."""
    found: dict[bytes, int] = {}
    with shards_of(data) as readers:
        for row in (row for reader in readers for row in reader.log()):
            if row.kind == CommandKind.SETTLE_PAYMENT and not row.decline:
                assert row.request_id not in found
                found[row.request_id] = row.amount
    return found


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait until something holds that comes right after the answer."""
    deadline = time.monotonic() + OUTCOME_LIMIT_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)
