"""B12: a payee that many pay at once has a main file on one server and auxiliaries on the others.

A payment settles wholly inside the payer's server, auxiliaries are merged into the main file, and
whatever crashes between, the payee's balance is explainable. KESSAI_KILLS says how many kills,
KESSAI_SEED repeats a run.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from kessai.account_number import parse_account
from kessai.v1 import account_pb2
from kessai.v1.account_pb2_grpc import AccountServiceStub
from kessai.v1.payment_pb2 import PAYMENT_OUTCOME_SETTLED
from server.domain.command import CommandKind
from server.ledger.chart import auxiliary_id
from tests.running import CALL_LIMIT_S, RunningSwitch, fresh_id, kessai
from tests.scenarios.shop import APPROVE, BREAD, SHARDS, Customer, Register, Shop, shards_of

KILLS = int(os.environ.get("KESSAI_KILLS") or 3)
CASH = 1_000_000_00
NEVER_S, AT_ONCE_S = "86400", "0.03"
OUTCOME_LIMIT_S = 60.0
SHOP_SHARD = 0
Figures = tuple[int, int, int]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Give a shop whose auxiliaries are merged on demand only; its books verify at the end."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("KESSAI_MERGE_EVERY_S", NEVER_S)
        opened = Shop(tmp_path_factory.mktemp("shop"))
        distribute(opened.switch, opened.account)
        yield opened
        opened.close()


def distribute(switch: RunningSwitch, account_number: str) -> int:
    """Give an account an auxiliary on every server; how many there are."""
    request = account_pb2.DistributeAccountRequest(
        request_id=fresh_id(), account_number=account_number
    )
    with switch.channel() as channel:
        answer = AccountServiceStub(channel).DistributeAccount(request, timeout=CALL_LIMIT_S)
    return answer.auxiliary_count


def merge(switch: RunningSwitch, account_number: str) -> int:
    """Merge what the auxiliaries of an account hold; how much it was."""
    request = account_pb2.MergeAccountRequest(request_id=fresh_id(), account_number=account_number)
    with switch.channel() as channel:
        answer = AccountServiceStub(channel).MergeAccount(request, timeout=CALL_LIMIT_S)
    return answer.merged.amount_minor


def figures(switch: RunningSwitch, account_number: str) -> Figures:
    """Tell an account's balance, what its auxiliaries hold, and the total."""
    request = account_pb2.GetAccountRequest(account_number=account_number)
    with switch.channel() as channel:
        account = AccountServiceStub(channel).GetAccount(request, timeout=CALL_LIMIT_S).account
    return (
        account.balance.amount_minor, account.auxiliary.amount_minor, account.total.amount_minor,
    )  # fmt: skip


def entries(
    switch: RunningSwitch, account_number: str, auxiliary: int = 0
) -> list[tuple[str, int]]:
    """List kinds and amounts of an account's or an auxiliary's entries, newest first."""
    request = account_pb2.ListEntriesRequest(account_number=account_number, auxiliary=auxiliary)
    with switch.channel() as channel:
        answer = AccountServiceStub(channel).ListEntries(request, timeout=CALL_LIMIT_S)
    return [
        (account_pb2.EntryKind.Name(e.kind).removeprefix("ENTRY_KIND_"), e.amount.amount_minor)
        for e in answer.entries
    ]


def rows_of(shop: Shop) -> list[int]:
    """Count the rows of each server's log."""
    with shards_of(shop.switch.folder) as readers:
        return [sum(1 for _ in reader.log()) for reader in readers]


def test_a_payment_settles_wholly_inside_the_payers_server(
    shop: Shop, register: Register, alice: Customer
) -> None:
    """One row of one log debits the customer and credits the shop; no other server hears of it."""
    before = rows_of(shop)
    register.ring_up(BREAD)
    assert register.tap(alice, *APPROVE).end() == 0
    assert [now - then for then, now in zip(before, rows_of(shop), strict=True)] == [0, 1, 0, 0]
    customer, payee = parse_account(alice.account), parse_account(shop.account)
    with shards_of(shop.switch.folder) as readers:
        row = readers[1].row(register.journal()[0].pending.request_id)
        _, [debit, *_] = readers[1].statement(customer, 0, 10)
        _, [credit] = readers[1].statement(auxiliary_id(1, payee), 0, 10)
        assert readers[1].outbox(10) == []
    assert row is not None
    assert debit.log_sequence == credit.log_sequence == row.sequence
    assert (debit.amount, debit.counterparty) == (-3_49, payee)
    assert (credit.amount, credit.counterparty) == (3_49, customer)
    assert figures(shop.switch, shop.account) == (0, 3_49, 3_49)


def test_the_balance_is_explained(shop: Shop, register: Register) -> None:
    """Main, auxiliaries and total; each payment in a statement; what is merged in both of them."""
    switch, account = shop.switch, shop.account
    before = figures(switch, account)
    for shard in (2, SHOP_SHARD):
        neighbour = shop.customer(f"neighbour-{shard}", 10_00, shard)
        register.ring_up(BREAD)
        assert register.tap(neighbour, *APPROVE).end() == 0
    main, auxiliary, total = figures(switch, account)
    assert (main, auxiliary) == (before[0] + 3_49, before[1] + 3_49)
    assert total == before[2] + 6_98 == main + auxiliary
    assert merge(switch, account) == auxiliary
    assert figures(switch, account) == (total, 0, total)
    assert entries(switch, account, auxiliary=3) == [("MERGE", -3_49), ("PAYMENT", 3_49)]
    assert entries(switch, account)[:2].count(("MERGE", 3_49)) == 2
    assert merge(switch, account) == 0


def test_an_operator_does_it_at_a_prompt(shop: Shop) -> None:
    """The commands, and what they show."""
    data, account = ("--data", str(shop.switch.folder)), shop.account
    assert "distributed over 4 shards" in kessai("account", "distribute", account, *data).stdout
    assert "0.00 EUR merged" in kessai("account", "merge", account, *data).stdout
    shown = kessai("account", "show", account, *data).stdout.splitlines()
    assert [line.split()[0] for line in shown[1:]] == ["balance", "auxiliaries", "total"]
    listed = kessai("account", "statement", account, "--auxiliary", "3", *data).stdout
    assert "merge" in listed
    assert "payment" in listed
    table = kessai("ledger", "trial-balance", *data).stdout
    assert "auxiliary" in table


class Payer:
    """A customer who pays one small purchase after another, and asks again until he knows."""

    def __init__(self, shop: Shop, register: Register, customer: Customer, seed: int) -> None:
        self.shop, self.register, self.customer = shop, register, customer
        self.dice = random.Random(seed)
        self.begun = self.paid = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Go shopping."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the purchase at hand, and go home."""
        self._ended.set()
        self._thread.join(OUTCOME_LIMIT_S)
        assert not self._thread.is_alive()
        assert self.begun == self.paid

    def _run(self) -> None:
        while not self._ended.is_set():
            minor = self.dice.randint(1, 99_99)
            pending = self.register.ask(minor)
            sealed = self.customer.authorize(pending, self.register.terminal)
            self.begun += minor
            while True:
                try:
                    receipt = self.shop.settle(self.register.identity, pending, sealed)
                    break
                except grpc.RpcError:
                    time.sleep(0.05)
            assert self.shop.receipt(receipt).outcome == PAYMENT_OUTCOME_SETTLED
            self.paid += minor


@pytest.mark.timeout(90 + 5 * KILLS)
def test_a_crash_between_loses_nothing_and_counts_nothing_twice(
    tmp_path: Path,
    random_seed: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """SIGKILL at random moments of payment, merge and deposit, while four customers pay."""
    monkeypatch.setenv("KESSAI_MERGE_EVERY_S", AT_ONCE_S)
    dice = random.Random(random_seed)
    shop = Shop(tmp_path)
    assert distribute(shop.switch, shop.account) == SHARDS
    register = shop.register("till-1")
    payers = [
        Payer(shop, register, shop.customer(f"payer-{n}", CASH, n), dice.randrange(2**32))
        for n in range(SHARDS)
    ]
    for payer in payers:
        payer.start()
    between = 0
    for _ in range(KILLS):
        time.sleep(dice.uniform(0, 0.5))  # the kill comes at a random moment
        shop.switch.kill()
        between += is_money_between(shop)
        shop.switch.verify()
        shop.switch.restart()
        paid = sum(payer.paid for payer in payers)
        total = figures(shop.switch, shop.account)[2]
        assert paid <= total <= sum(payer.begun for payer in payers)
    for payer in payers:
        payer.stop()
    total = sum(payer.paid for payer in payers)
    assert figures(shop.switch, shop.account)[2] == total
    wait_for(shop, (total, 0, total))
    check_the_log(shop, total)
    for payer in payers:
        assert shop.switch.balance(payer.customer.account) == CASH - payer.paid
    shop.close()
    with capsys.disabled():
        print(f"\n{KILLS} kills, seed {random_seed}: {between} between a merge and its deposit")  # noqa: T201


def is_money_between(shop: Shop) -> bool:
    """Tell whether a server still owes what it has merged or taken."""
    with shards_of(shop.switch.folder) as readers:
        return any(reader.outbox(1) for reader in readers)


def wait_for(shop: Shop, wanted: Figures) -> None:
    """Wait until the auxiliaries are merged."""
    deadline = time.monotonic() + OUTCOME_LIMIT_S
    while (has := figures(shop.switch, shop.account)) != wanted:
        assert time.monotonic() < deadline, f"the shop has {has}, not {wanted}"
        time.sleep(0.02)


def check_the_log(shop: Shop, total: int) -> None:
    """Each payment was settled once, and what was merged is what other servers' customers paid."""
    settled, merged = [], []
    with shards_of(shop.switch.folder) as readers:
        for shard, reader in enumerate(readers):
            rows = [row for row in reader.log() if not row.decline]
            settled += [(shard, row) for row in rows if row.kind == CommandKind.SETTLE_PAYMENT]
            merged += [row.amount for row in rows if row.kind == CommandKind.MERGE_AUXILIARY]
    assert sum(row.amount for _, row in settled) == total
    assert sum(merged) == sum(row.amount for shard, row in settled if shard != SHOP_SHARD)
    assert len(merged) > SHARDS
