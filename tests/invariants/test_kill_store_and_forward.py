"""SIGKILL of a till that is cut off, and of all others while its payments are uploaded.

The line is cut by killing the switch. What the till accepted waits in its journal; whoever is
killed then, it is settled exactly once when the line is back, and what was not accepted is paid
once or not at all. KESSAI_KILLS says how many kills, KESSAI_SEED repeats a run.
"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agents.journal import Entry, PaymentState
from server.domain.command import CommandKind
from tests.invariants.kill_cases import kills
from tests.invariants.kill_table import ABSENT, WHOLE, KillTable
from tests.running import kessai
from tests.scenarios.shop import APPROVE, BREAD, MILK, SHARDS, Shop, shards_of

KILLS = kills(1)
CASH = 1_000_000_00
LIMIT_S = 60.0
SCENE = "store and forward"
UPLOADING = "the line is back"

FINAL = (PaymentState.SETTLED, PaymentState.ABANDONED)
# Who is killed, after which step of the till's with the switch away (or UPLOADING), and within how
# many seconds.
CASES = (
    ("till", "waiting_for_tap", 2.0),
    ("till", "authorized", 2.5),
    ("till", "accepted", 0.1),
    ("till", UPLOADING, 1.0),
    ("phone", "phone_seen", 2.5),
    ("switch", UPLOADING, 0.5),
)


class Killer:
    """Cuts a till off again and again, and kills somebody each time."""

    def __init__(self, shop: Shop, seed: int, table: KillTable) -> None:
        self.shop, self.dice, self.table = shop, random.Random(seed), table
        table.expect(SCENE, (step for _, step, _ in CASES))
        self.payers = [shop.customer(f"payer-{n}", CASH, shard=n) for n in range(SHARDS)]
        self.till = shop.register("till-1")
        limit = "offline_payment_limit_minor=500"
        device = "agent/corner-shop/till-1"
        kessai("device", "config", device, limit, "--data", str(shop.switch.folder))
        self.accepted: set[str] = set()
        self._start()
        self.till.steps.next("in_touch")

    def kill_one(self, victim: str, step: str, seconds: float) -> None:
        """Cut the till off with one payment waiting, kill the victim, and mend everything."""
        self.shop.switch.kill()
        self._buy("accepted", 0)
        if step != UPLOADING:
            last = self._buy(step, seconds, victim)
            self.shop.switch.restart()
        else:
            last = self._buy("accepted", 0)
            self.shop.switch.restart()
            time.sleep(self.dice.uniform(0, seconds))  # the kill comes at a random moment
            self._kill(victim)
        entry = self._conclude(last)
        is_settled = entry.state is PaymentState.SETTLED
        self.table.add(SCENE, victim, step, WHOLE if is_settled else ABSENT)
        self.shop.switch.verify()

    def check_all(self) -> None:
        """Compare journal and ledger payment by payment, and count the money."""
        paid = self._settled_in_the_log()
        entries = {e.pending.request_id: e for e in self.till.journal()}
        known = {r: e for r, e in entries.items() if e.state is PaymentState.SETTLED}
        assert paid == {r: e.pending.total.minor for r, e in known.items()}
        promised = {r for r, e in entries.items() if e.accept_us is not None}
        promised |= {r for r, e in entries.items() if e.pending.payment_id in self.accepted}
        assert promised <= paid.keys()
        assert len(promised) >= KILLS
        assert self.shop.earned() == sum(paid.values())
        left = sum(self.shop.switch.balance(payer.account) for payer in self.payers)
        assert left + sum(paid.values()) == CASH * len(self.payers)

    def _buy(self, step: str, seconds: float, victim: str = "") -> str:
        """Let somebody buy at the till that is cut off, until the kill; the payment's id."""
        asked = self.till.ring_up(self.dice.choice((BREAD, MILK)))
        payment_id = str(asked["payment_id"])
        phone = self.till.tap(self.dice.choice(self.payers), *APPROVE)
        if step != "waiting_for_tap":
            self.till.steps.next(step)
        if step == "accepted":
            self.accepted.add(payment_id)
        time.sleep(self.dice.uniform(0, seconds))
        if victim == "phone":
            phone.kill()
        elif victim:
            self._kill(victim)
        else:
            self.till.clear()
        self.till.send_phones_away()
        return payment_id

    def _start(self) -> None:
        self.till.start("--offline-days", "3")

    def _kill(self, victim: str) -> None:
        if victim == "switch":
            self.shop.switch.kill()
            self.shop.switch.restart()
        else:
            self.till.kill()
            self._start()

    def _conclude(self, payment_id: str) -> Entry:
        """Wait until nothing is open at the till, as the cashier presses CANCEL; the last one."""
        deadline = time.monotonic() + LIMIT_S
        self.till.scanner.scan("%CANCEL")
        while any(entry.state not in FINAL for entry in self.till.journal()):
            states = [entry.state for entry in self.till.journal()]
            assert time.monotonic() < deadline, f"{states}: {self.till.steps.names}"
            if self.till.entry(payment_id).state is PaymentState.REQUESTED:
                self.till.scanner.scan("%CANCEL")
            time.sleep(0.1)
        self.till.scanner.scan("%CANCEL")
        self.till.steps.next("sale_cleared", "key_refused")
        return self.till.entry(payment_id)

    def _settled_in_the_log(self) -> dict[bytes, int]:
        found: dict[bytes, int] = {}
        with shards_of(self.shop.switch.folder) as readers:
            for row in (row for reader in readers for row in reader.log()):
                if row.kind == CommandKind.SETTLE_PAYMENT:
                    assert not row.decline
                    assert row.request_id not in found
                    found[row.request_id] = row.amount
        return found


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """Give a shop whose books verify at the end."""
    opened = Shop(tmp_path)
    yield opened
    opened.close()


@pytest.mark.timeout(120 + 45 * KILLS)
def test_what_was_accepted_is_settled_once(
    shop: Shop, random_seed: int, kill_table: KillTable
) -> None:
    """Whoever is killed, whenever: nothing that was accepted is lost, and nothing is paid twice."""
    killer = Killer(shop, random_seed, kill_table)
    cases = list(CASES)
    killer.dice.shuffle(cases)
    for case in itertools.islice(itertools.cycle(cases), KILLS):
        killer.kill_one(*case)
    killer.check_all()
