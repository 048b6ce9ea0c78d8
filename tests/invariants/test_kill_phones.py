"""SIGKILL where phones submit by their own line: a payment is whole or absent (rows B2 and B5).

A direct purchase and a bill between two phones are cut at random moments, by killing a phone, the
register or the switch; what was killed starts again on what it left on the disk. KESSAI_KILLS says
how many kills, KESSAI_SEED repeats a run.
"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from edge_agents.journal import Entry, PaymentState
from kessai.v1 import payment_pb2
from server.domain.command import CommandKind
from simulators.phone.bill_store import BillStore
from simulators.phone.store import Store
from simulators.town import free_udp_port
from tests.invariants.kill_cases import cases, kills
from tests.invariants.kill_table import ABSENT, WHOLE, KillTable
from tests.running import kessai
from tests.scenarios.following import Followed
from tests.scenarios.shop import (
    APPROVE,
    BREAD,
    MILK,
    Customer,
    Register,
    Shop,
    shards_of,
)

KILLS = kills(2)
CASH = 1_000_000_00
LIMIT_S = 60.0
WINDOW_S = 0.5
DIRECT, BILL = "direct", "bill"
# Of a purchase: the register's step after which the kill comes, and within how many seconds.
DIRECT_WINDOWS = (
    ("waiting_for_tap", 0.5),
    ("phone_seen", 0.1),
    ("submitting", 0.05),
    ("settled", 0.05),
)
# Of a bill: the page of the payer's phone.
BILL_WINDOWS = (
    ("tap", 0.5),
    ("purchase", 0.05),
    ("enter-pin", 0.1),
    ("authorized", 0.2),
)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Give a shop whose books verify at the end."""
    opened = Shop(tmp_path_factory.mktemp("phones"))
    yield opened
    opened.close()


def settled(shop: Shop, kind: CommandKind) -> dict[bytes, int]:
    """Read from the logs what was settled: request id and amount; each id once."""
    found: dict[bytes, int] = {}
    with shards_of(shop.switch.folder) as readers:
        for row in (row for reader in readers for row in reader.log()):
            if row.kind == kind and not row.decline:
                assert row.request_id not in found
                found[row.request_id] = row.amount
    return found


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + LIMIT_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.timeout(120 + 15 * KILLS)
def test_a_direct_purchase_is_whole_or_absent(
    shop: Shop, random_seed: int, kill_table: KillTable
) -> None:
    """Whoever is killed: what the register has settled is what the switch has settled."""
    dice = random.Random(random_seed)
    payers = [shop.customer(f"payer-{n}", CASH, shard=n) for n in range(3)]
    register = shop.register("till-1")
    register.start("--submission", "direct")
    kill_table.expect(DIRECT, (step for step, _ in DIRECT_WINDOWS))
    drawn = cases(dice, ("phone", "register", "switch"), DIRECT_WINDOWS)
    for victim, (step, seconds) in itertools.islice(drawn, KILLS):
        payer = dice.choice(payers)
        register.ring_up(dice.choice((BREAD, MILK)))
        phone = register.tap(payer, *APPROVE)
        if step != "waiting_for_tap":
            register.steps.next(step, "settled")  # a quick phone leaves one out
        time.sleep(dice.uniform(0, seconds))  # the kill comes at a random moment
        if victim == "switch":
            shop.switch.kill()
            shop.switch.restart()
        elif victim == "register":
            register.steps.kill()
            register.start("--submission", "direct")
        phone.kill()
        register.tap(payer, *APPROVE)  # the customer comes back, and the phone goes on
        wait_until(lambda: register.journal()[0].state is PaymentState.SETTLED)
        wait_until(partial(has_receipt, payer, register.journal()[0]))
        kill_table.add(DIRECT, victim, step, WHOLE)
        register.send_phones_away()
        register.clear()
    check_purchases(shop, payers, register)


def has_receipt(payer: Customer, entry: Entry) -> bool:
    """Tell whether a phone has the receipt of a payment on its disk."""
    store = Store(payer.folder)
    try:
        decision = store.find(entry.pending.request_hash)
        return decision is not None and bool(decision.receipt)
    finally:
        store.close()


def check_purchases(shop: Shop, payers: list[Customer], register: Register) -> None:
    """Compare journal and ledger, and count the money."""
    paid = settled(shop, CommandKind.SETTLE_PAYMENT)
    assert len(paid) == KILLS
    entries = {e.pending.request_id: e.pending.total.minor for e in register.journal()}
    assert paid == entries
    assert shop.earned() == sum(paid.values())
    left = sum(shop.switch.balance(payer.account) for payer in payers)
    assert left + sum(paid.values()) == CASH * len(payers)


def ask(shop: Shop, payee: Customer, field: str, submitter: str, number: int) -> Followed:
    """Let a phone show a bill."""
    command = ["phone", "bill", "--events", "--folder", str(payee.folder), "1.00 EUR"]
    command += ["--field", field, "--for", f"Round {number}"]
    log = shop.folder / f"payee-{number}.log"
    return Followed([*command, "--submitter", submitter], log, "view")


def tap(shop: Shop, payer: Customer, field: str, number: int, answer: tuple[str, ...]) -> Followed:
    """Hold another phone to it."""
    command = ["phone", "tap", "--events", "--folder", str(payer.folder), "--field", field]
    return Followed([*command, *answer], shop.folder / f"payer-{number}.log", "view")


@pytest.mark.timeout(120 + 20 * KILLS)
def test_a_bill_is_whole_or_absent(shop: Shop, random_seed: int, kill_table: KillTable) -> None:
    """Whichever phone is killed: what the payee's phone knows is what the switch has settled."""
    dice = random.Random(random_seed)
    payee, payer = shop.customer("payee", CASH, shard=1), shop.customer("payer", CASH, shard=2)
    kill_table.expect(BILL, (step for step, _ in BILL_WINDOWS))
    ways = list(itertools.product(BILL_WINDOWS, ("payee", "payer")))
    drawn = itertools.islice(cases(dice, ("payee", "payer", "switch"), ways), KILLS)
    before = CASH
    for number, (victim, ((step, seconds), submitter)) in enumerate(drawn):
        field = f"udp:127.0.0.1:{free_udp_port()}"
        asking = ask(shop, payee, field, submitter, number)
        asking.next("bill")
        paying = tap(shop, payer, field, number, APPROVE)
        if step != "tap":
            paying.next(step)
        time.sleep(dice.uniform(0, seconds))  # the kill comes at a random moment
        if victim == "switch":
            shop.switch.kill()
            shop.switch.restart()
            time.sleep(dice.uniform(0, WINDOW_S))
        first, second = (asking, paying) if victim == "payee" else (paying, asking)
        first.kill()
        second.kill()
        # Both phones are started again: each goes on with what it had stored.
        elsewhere = f"udp:127.0.0.1:{free_udp_port()}"
        back = tap(shop, payer, elsewhere, number, ("--answer", "decline", "--stay", "1.5"))
        back.end()
        kessai("phone", "bills", "--folder", str(payee.folder))
        left = shop.switch.balance(payer.account)
        kill_table.add(BILL, victim, step, WHOLE if left < before else ABSENT)
        before = left
    check_bills(shop, payee, payer)


def check_bills(shop: Shop, payee: Customer, payer: Customer) -> None:
    """Compare what the payee's phone knows with the ledger, and count the money."""
    paid = settled(shop, CommandKind.SETTLE_BILL)
    store = BillStore(payee.folder)
    own = store.history(1_000)
    store.close()
    known = {
        bill.bill.request_id: bill.bill.amount.amount_minor
        for bill in own
        if bill.receipt and bill.receipt.outcome == payment_pb2.PAYMENT_OUTCOME_SETTLED
    }
    assert len(own) == KILLS
    assert known == paid
    shop.earned()
    assert shop.switch.balance(payee.account) == CASH + sum(paid.values())
    assert shop.switch.balance(payer.account) == CASH - sum(paid.values())
