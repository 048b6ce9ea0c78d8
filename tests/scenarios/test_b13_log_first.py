"""B13: a request is written to a log before it is worked; debit at once, credit from the log."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from collections.abc import Iterator

import grpc
import pytest

from edge_agents.payment_request import PendingPayment
from kessai.account_number import parse_account
from kessai.envelope import PAYMENT_AUTHORIZATION, load_public_key, open_signed
from kessai.v1.decline_pb2 import DECLINE_REASON_INSUFFICIENT_FUNDS
from kessai.v1.payment_pb2 import PaymentAuthorization, PaymentEvidence
from server.domain.arrival import arrival_id
from server.domain.command import CommandKind
from server.shards.sqlite_reader import SqliteReader
from simulators.phone.vault import Vault
from tests.running import kessai
from tests.scenarios.shop import APPROVE, BREAD, COFFEE, Customer, Register, Shop, shards_of

PAYER_SHARD, SHOP_SHARD = 1, 0
ATTEMPTS = 40
CRASHES = int(os.environ.get("KESSAI_KILLS") or 2)
IN_BETWEEN_S = 0.006


def test_the_log_keeps_payer_payee_amount_date_and_the_signed_bytes(
    shop: Shop, register: Register, alice: Customer
) -> None:
    """What the terminal and the phone signed is there as it came, and still verifies."""
    begin_us = time.time_ns() // 1_000
    register.sell(alice, BREAD)
    entry = register.journal()[0]
    with shards_of(shop.switch.folder) as readers:
        row = readers[PAYER_SHARD].row(entry.pending.request_id)
    assert row is not None
    assert row.kind == CommandKind.SETTLE_PAYMENT
    assert (row.payer, row.payee) == (parse_account(alice.account), parse_account(shop.account))
    assert (row.amount, row.decline) == (349, 0)
    assert begin_us < row.book_us < time.time_ns() // 1_000
    evidence = PaymentEvidence.FromString(row.body)
    assert evidence.payment_request == entry.pending.signed
    authorization = open_signed(
        evidence.authorization,
        PAYMENT_AUTHORIZATION,
        load_public_key(Vault(alice.folder).public_key),
        PaymentAuthorization.FromString,
    )
    assert authorization.account_number == alice.account
    assert authorization.request_hash == entry.pending.request_hash


def test_a_declined_payment_is_in_the_log_too(shop: Shop, register: Register) -> None:
    """With its reason, and with no movement."""
    bob = shop.customer("bob", cash=100, shard=2)
    register.ring_up(COFFEE)
    register.tap(bob, *APPROVE)
    register.steps.next("declined")
    with shards_of(shop.switch.folder) as readers:
        row = readers[2].row(register.journal()[0].pending.request_id)
        _, entries = readers[2].statement(parse_account(bob.account), 0, 10)
    assert row is not None
    assert row.decline == DECLINE_REASON_INSUFFICIENT_FUNDS
    assert [entry.amount for entry in entries] == [100]


def test_the_payee_is_credited_from_the_log_after_a_crash(
    shop: Shop, register: Register, alice: Customer
) -> None:
    """Killed after the debit and before the credit: the payee gets it once, after the restart."""
    shop_before = shop.earned()
    settled = 0
    for minor in range(1, ATTEMPTS + 1):
        before = shop.switch.balance(alice.account)
        pending = register.ask(minor)
        settled += minor
        if stop_between(shop, register, alice, pending):
            break
    else:
        pytest.fail(f"the switch was never caught between debit and credit in {ATTEMPTS} payments")
    with shards_of(shop.switch.folder) as readers:
        payer = readers[PAYER_SHARD].account(parse_account(alice.account))
        payee = readers[SHOP_SHARD].account(parse_account(shop.account))
        assert payer is not None
        assert payee is not None
        assert payer.balance == before - minor
        assert payee.balance == shop_before + settled - minor
    said = kessai("ledger", "verify", "--data", str(shop.switch.folder), check=False)
    assert "1 payments in transit" in said.stdout
    assert (said.returncode, "audit log could not be looked at" in said.stderr) == (1, True)
    assert "does not answer in time" in said.stderr
    shop.switch.kill()
    shop.switch.restart()
    assert shop.earned() == shop_before + settled
    assert "0 payments in transit" in verified(shop)
    assert shop.switch.balance(alice.account) == before - minor
    receipt = shop.find(register.identity, pending.payment_id)
    assert receipt is not None
    assert shop.receipt(receipt).amount.amount_minor == minor
    with shards_of(shop.switch.folder) as readers:
        _, entries = readers[SHOP_SHARD].statement(parse_account(shop.account), 0, 100)
    assert [entry.amount for entry in entries].count(minor) == 1


def test_a_crash_at_every_point_in_between(
    shop: Shop, register: Register, alice: Customer, random_seed: int
) -> None:
    """Killed again and again within some milliseconds of the debit: nothing lost, nothing twice."""
    dice = random.Random(random_seed)
    shop_before, before = shop.earned(), shop.switch.balance(alice.account)
    for _ in range(CRASHES):
        pending = register.ask(100)
        with debited(shop, register, alice, pending):
            time.sleep(dice.uniform(0, IN_BETWEEN_S))
            shop.switch.kill()
        shop.switch.restart()
    assert shop.switch.balance(alice.account) == before - 100 * CRASHES
    assert shop.earned() == shop_before + 100 * CRASHES
    assert "0 payments in transit" in verified(shop)


def stop_between(shop: Shop, register: Register, payer: Customer, pending: PendingPayment) -> bool:
    """Settle a payment, and stop the switch (SIGSTOP) at the moment when the payer is debited.

    True if the payee was not credited by then; else the switch goes on.
    """
    arrival = arrival_id(pending.request_id)
    with debited(shop, register, payer, pending) as readers:
        shop.switch.process.send_signal(signal.SIGSTOP)
        time.sleep(0.02)  # until every thread of it stands still
        if readers[SHOP_SHARD].row(arrival) is None:
            return True
        shop.switch.process.send_signal(signal.SIGCONT)
        return False


@contextlib.contextmanager
def debited(
    shop: Shop, register: Register, payer: Customer, pending: PendingPayment
) -> Iterator[list[SqliteReader]]:
    """Settle a payment, and go on at the moment when the payer's shard has it."""
    identity, sealed = register.identity, payer.authorize(pending, register.terminal)

    def settle() -> None:
        with contextlib.suppress(grpc.RpcError):
            shop.settle(identity, pending, sealed)

    with shards_of(shop.switch.folder) as readers:
        threading.Thread(target=settle, daemon=True).start()
        deadline = time.monotonic() + 60
        while readers[PAYER_SHARD].row(pending.request_id) is None:
            assert time.monotonic() < deadline
        yield readers


def verified(shop: Shop) -> str:
    """Verify the books; what was said about them."""
    return kessai("ledger", "verify", "--data", str(shop.switch.folder)).stdout.replace("\n", " ")
