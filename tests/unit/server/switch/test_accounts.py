"""The accounts' use cases where a line shows little: taken numbers, sums, a closed store."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kessai.account_number import make_account
from kessai.money import MAX_AMOUNT
from kessai.request_id import format_request_id, new_request_id
from kessai.v1.account_pb2 import OpenAccountRequest
from server.domain.account_opening import number_for
from server.identity.refusals import Unknown
from server.ledger.chart import AccountKind
from server.shards.store import Total
from server.switch.accounts import Accounts, trial_balance
from server.switch.refused import Unavailable
from server.switch.settle import Settle
from tests.unit.server.domain.commands import EUR, JPY, MINUTE_US, open_account
from tests.unit.server.shards.parts import Clock, shards_in, verify_shards

SHARDS = 2


async def test_a_taken_number_makes_room_for_the_next(tmp_path: Path) -> None:
    """The switch tries the numbers of the request in turn, and finds the same one again."""
    clock = Clock()
    request_id = new_request_id(clock() // 1000, os.urandom)
    tried = [make_account(1, number_for(request_id, attempt)) for attempt in range(3)]
    message = OpenAccountRequest(
        request_id=format_request_id(request_id), owner="wallet/ann", currency_code="EUR", branch=1
    )
    with shards_in(tmp_path, SHARDS, clock) as shards:
        for account in tried[:2]:
            await shards.submit(open_account(account, "wallet/bob"))
        accounts = Accounts(shards, Settle(shards, clock))
        first = await accounts.open(message, request_id, "joe")
        assert (first.id, first.owner) == (tried[2], "wallet/ann")
    clock.us += 10 * MINUTE_US
    with shards_in(tmp_path, SHARDS, clock) as shards:
        accounts = Accounts(shards, Settle(shards, clock))
        assert await accounts.open(message, request_id, "joe") == first
    assert verify_shards(tmp_path, SHARDS).faults == []


async def test_who_may_see_an_account(tmp_path: Path) -> None:
    """The owner and whoever asks for anybody's; for others there is none."""
    with shards_in(tmp_path, SHARDS) as shards:
        row = await shards.submit(open_account(make_account(1, 42)))
        accounts = Accounts(shards, Settle(shards, Clock()))
        for owner in ("wallet/ann", None):
            assert (await accounts.find(row.payee, owner)).id == row.payee
            assert (await accounts.statement(row.payee, owner, 0, 9)).entries == []
        for account, owner in ((row.payee, "wallet/bob"), (row.payee + 1, None)):
            with pytest.raises(Unknown):
                await accounts.find(account, owner)
            with pytest.raises(Unknown):
                await accounts.statement(account, owner, 0, 9)


async def test_a_closed_store_is_unavailable(tmp_path: Path) -> None:
    with shards_in(tmp_path, SHARDS) as shards:
        accounts = Accounts(shards, Settle(shards, Clock()))
        for shard in range(SHARDS):
            shards.shard(shard)._reading.close()
        with pytest.raises(Unavailable):
            await accounts.find(make_account(1, 42), None)
        with pytest.raises(Unavailable):
            await accounts.statement(make_account(1, 42), None, 0, 9)
        with pytest.raises(Unavailable):
            await accounts.trial_balance()


def line(kind: AccountKind, debits: int, credits: int, ledger: int = EUR) -> Total:
    """One shard's accounts of a kind."""
    return Total(kind, ledger, 1, debits, credits)


def test_the_trial_balance_adds_shards_up_by_kind_and_currency() -> None:
    world, customer = AccountKind.WORLD, AccountKind.CUSTOMER
    trial = trial_balance(
        [
            [line(world, 5, 0), line(customer, 0, 5)],
            [line(world, 7, 0), line(customer, 0, 7), line(world, 1, 1, JPY)],
        ]
    )
    assert trial.balanced
    assert [(t.kind, t.ledger, t.accounts, t.debits, t.credits) for t in trial.lines] == [
        ("world", JPY, 1, 1, 1),
        ("world", EUR, 2, 12, 0),
        ("customer", EUR, 2, 0, 12),
    ]


@pytest.mark.parametrize(
    "by_shard",
    [
        [[line(AccountKind.WORLD, 5, 0)]],
        [[line(AccountKind.WORLD, 5, 0)], [line(AccountKind.CUSTOMER, 0, 5)]],
        [[line(AccountKind.WORLD, 5, 0), line(AccountKind.CUSTOMER, 0, 5, JPY)]],
    ],
    ids=["alone", "over two shards", "over two currencies"],
)
def test_each_shard_and_currency_balances_by_itself(by_shard: list[list[Total]]) -> None:
    assert not trial_balance(by_shard).balanced


def test_sums_may_be_larger_than_an_account() -> None:
    world = AccountKind.WORLD
    trial = trial_balance([[line(world, MAX_AMOUNT, MAX_AMOUNT)]] * 3)
    assert trial.lines[0].debits == 3 * MAX_AMOUNT
