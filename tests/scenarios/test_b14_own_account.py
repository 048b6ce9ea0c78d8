"""B14: a user asks for balance and history from any device; another user's account is refused."""

from __future__ import annotations

import re
from collections.abc import Callable

import grpc
import pytest

from kessai.account_number import format_account, make_account, parse_account, pretty_account
from kessai.device_identity import DeviceIdentity
from kessai.money import Money
from kessai.v1 import account_pb2
from kessai.v1.account_pb2_grpc import AccountServiceStub
from tests.running import CALL_LIMIT_S, fresh_id, kessai
from tests.scenarios.shop import BREAD, MILK, Customer, Register, Shop, reason_of

Refusal = tuple[grpc.StatusCode, str, str]


@pytest.fixture(scope="module")
def spare(shop: Shop, alice: Customer) -> Customer:
    """Give a second phone of Alice's wallet."""
    return shop.phone("spare", alice.identity.names[0], alice.account)


def balance_on(phone: Customer) -> str:
    """Ask on a phone for the balance."""
    return kessai("phone", "balance", "--folder", str(phone.folder)).stdout


def history_on(phone: Customer) -> str:
    """Ask on a phone for the statement."""
    return kessai("phone", "history", "--folder", str(phone.folder)).stdout


def test_from_any_device(shop: Shop, register: Register, alice: Customer, spare: Customer) -> None:
    """Each phone pays from the one account, and each tells the same balance and statement."""
    for phone, goods in ((alice, BREAD), (spare, MILK)):
        register.sell(phone, goods)
    balance, history = balance_on(alice), history_on(alice)
    assert pretty_account(parse_account(alice.account)) in balance
    assert "995.22 EUR" in balance
    for said in ("-3.49", "-1.29", "996.51", "995.22"):
        assert said in history
    assert (balance_on(spare), history_on(spare)) == (balance, history)


def test_another_users_account_looks_unknown(shop: Shop, alice: Customer) -> None:
    """Exactly as an account that does not exist: code, reason and words."""
    bob = shop.customer("bob", cash=77_00, shard=2)
    nobody = format_account(make_account(1, 99_000_001))
    asker = alice.identity
    assert ask(shop, asker, alice.account) is None
    refusals = [ask(shop, asker, number) for number in (bob.account, shop.account, nobody)]
    assert set(refusals) == {refusals[2]}
    assert refusals[2] is not None
    assert refusals[2][:2] == (grpc.StatusCode.NOT_FOUND, "RESOURCE_UNKNOWN")
    said = kessai(
        "phone", "history", "--folder", str(alice.folder), "--account", bob.account, check=False
    )
    assert said.returncode == 1
    assert "77.00" not in said.stdout + said.stderr


def test_a_terminal_may_not_ask(shop: Shop, running_register: Register, alice: Customer) -> None:
    """Not for a customer's account, and not for its own shop's."""
    for number in (alice.account, shop.account):
        refusal = ask(shop, running_register.identity, number)
        assert refusal is not None
        assert refusal[:2] == (grpc.StatusCode.PERMISSION_DENIED, "CALLER_NOT_PERMITTED")


def test_a_phone_may_not_help_itself(shop: Shop, alice: Customer) -> None:
    """Paying cash in is the operator's business."""
    before = shop.switch.balance(alice.account)
    request = account_pb2.DepositCashRequest(
        request_id=fresh_id(), account_number=alice.account, amount=Money(100, "EUR").to_proto()
    )
    with (
        shop.switch.channel(alice.identity) as channel,
        pytest.raises(grpc.RpcError) as refused,
    ):
        AccountServiceStub(channel).DepositCash(request, timeout=CALL_LIMIT_S)
    assert reason_of(refused.value) == "CALLER_NOT_PERMITTED"
    assert shop.switch.balance(alice.account) == before


def ask(shop: Shop, asker: DeviceIdentity, number: str) -> Refusal | None:
    """Ask for balance and entries; how both were refused, or None if both were told."""
    with shop.switch.channel(asker) as channel:
        stub = AccountServiceStub(channel)
        balance = account_pb2.GetAccountRequest(account_number=number)
        entries = account_pb2.ListEntriesRequest(account_number=number)
        refusals = [
            refusal_of(lambda: stub.GetAccount(balance, timeout=CALL_LIMIT_S)),
            refusal_of(lambda: stub.ListEntries(entries, timeout=CALL_LIMIT_S)),
        ]
    assert refusals[0] == refusals[1]
    return refusals[0]


def refusal_of(call: Callable[[], object]) -> Refusal | None:
    """Make a call; how it was refused, or None."""
    try:
        call()
    except grpc.RpcError as error:
        words = re.sub("GetAccount|ListEntries", "the call", error.details() or "")
        return error.code(), reason_of(error), words
    return None
