"""B11: one data file per user, on many servers, at a place that is computed and not looked up.

A shard is a server of accounts: a file of its own with a writer of its own.
"""

from __future__ import annotations

from pathlib import Path

from kessai.account_number import format_account, make_account, parse_account, slot_of
from kessai.money import Money
from kessai.v1 import account_pb2
from kessai.v1.account_pb2_grpc import AccountServiceStub
from server.shards.placement import SlotMap
from tests.placing import shard_of
from tests.running import CALL_LIMIT_S, RunningSwitch, fresh_id, kessai
from tests.scenarios.shop import BREAD, SHARDS, Customer, Register, Shop, shards_of


def test_the_place_is_computed(shop: Shop) -> None:
    """From branch and number follows the shard; it has the account, and no other has."""
    places = SlotMap.even(SHARDS)
    seen = set()
    for branch, number in ((1, 7_000), (2, 7_000), (3, 7_000), (9999, 99_999_999), (42, 1), (7, 3)):
        account = make_account(branch, number)
        open_in_branch(shop.switch, branch, number)
        with shards_of(shop.switch.folder) as readers:
            homes = [n for n, reader in enumerate(readers) if reader.account(account) is not None]
        assert homes == [slot_of(account) * SHARDS // 1024] == [shard_of(places, account)]
        seen.add(homes[0])
    assert len(seen) > 1


def test_one_file_integrates_all_of_a_user(shop: Shop, register: Register, alice: Customer) -> None:
    """Deposits, withdrawals and settlements lie together, and one read gives balance and all."""
    register.sell(alice, BREAD)
    withdraw(shop.switch, alice.account, 50_00)
    account = parse_account(alice.account)
    with shards_of(shop.switch.folder) as readers:
        found = [reader.statement(account, 0, 50) for reader in readers]
    ((stored, entries),) = [(owner, rows) for owner, rows in found if owner is not None]
    assert sum(len(rows) for _, rows in found) == len(entries) == 3
    assert [entry.amount for entry in entries] == [-50_00, -3_49, 1_000_00]
    assert [entry.balance for entry in entries] == [946_51, 996_51, 1_000_00]
    assert stored.balance == 946_51
    page = kessai("phone", "history", "--folder", str(alice.folder)).stdout
    for said in ("946.51", "996.51", "1,000.00" if "1,000.00" in page else "1000.00"):
        assert said in page


def test_more_servers_and_the_same_application(tmp_path: Path) -> None:
    """Purchases on seven servers get the same answers as on four, whoever keeps what."""
    shop = Shop(tmp_path, shards=7)
    register = shop.register("till-1")
    payers = [shop.customer(f"payer-{n}", 10_00, shard=n) for n in (0, 6)]
    for payer in payers:
        for minor, reason in ((4_00, 0), (7_00, 43)):  # 43: INSUFFICIENT_FUNDS
            pending = register.ask(minor)
            sealed = payer.authorize(pending, register.terminal)
            receipt = shop.receipt(shop.settle(register.identity, pending, sealed))
            assert (receipt.amount.amount_minor, receipt.decline_reason) == (minor, reason)
        assert shop.switch.balance(payer.account) == 6_00
    assert shop.earned() == 4_00 * len(payers)
    shop.close()


def open_in_branch(switch: RunningSwitch, branch: int, number: int) -> None:
    """Open an account in any branch."""
    request = account_pb2.OpenAccountRequest(
        request_id=fresh_id(), owner="wallet/erin", currency_code="EUR",
        branch=branch, number=number,
    )  # fmt: skip
    with switch.channel() as channel:
        answer = AccountServiceStub(channel).OpenAccount(request, timeout=CALL_LIMIT_S)
    assert answer.account.account_number == format_account(make_account(branch, number))


def withdraw(switch: RunningSwitch, account: str, minor: int) -> None:
    """Let an operator pay cash out."""
    request = account_pb2.WithdrawCashRequest(
        request_id=fresh_id(), account_number=account, amount=Money(minor, "EUR").to_proto()
    )
    with switch.channel() as channel:
        assert (
            not AccountServiceStub(channel)
            .WithdrawCash(request, timeout=CALL_LIMIT_S)
            .decline_reason
        )
