"""Busy payees over a real line (row B12): who may, what is refused, and what the owner sees."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc.aio
import pytest

from kessai.account_number import format_account
from kessai.v1 import account_pb2 as pb
from kessai.v1.account_pb2_grpc import AccountServiceStub
from kessai.v1.money_pb2 import Money
from server.ledger.chart import AccountKind, auxiliary_id, house_account_id
from tests.unit.server.domain.commands import EUR, accounts_on
from tests.unit.server.switch.in_process import LIMIT_S, Served, fresh_text, reason_of, served

if TYPE_CHECKING:
    from kessai.v1.account_pb2_grpc import AccountServiceAsyncStub

SHARDS = 2
MALL, PLAIN = (a for a, _ in zip(accounts_on(0, SHARDS), range(2), strict=False))
ANN = next(accounts_on(1, SHARDS))


@asynccontextmanager
async def switch_with_accounts(
    folder: Path,
) -> AsyncIterator[tuple[Served, AccountServiceAsyncStub]]:
    """A switch of two shards with Ann's account and two others, and the operator's line to it."""
    async with served(folder / "data") as switch, switch.line() as line:
        stub = AccountServiceStub(line)
        for account, owner in ((MALL, "wallet/mall"), (PLAIN, "wallet/plain"), (ANN, "wallet/ann")):
            await stub.OpenAccount(
                pb.OpenAccountRequest(
                    request_id=fresh_text(),
                    owner=owner,
                    currency_code="EUR",
                    branch=1,
                    number=account % 10**8,
                ),
                timeout=LIMIT_S,
            )
        yield switch, stub


def distribution(account: int, request_id: str = "") -> pb.DistributeAccountRequest:
    """Ask for an account to be distributed."""
    return pb.DistributeAccountRequest(
        request_id=request_id or fresh_text(), account_number=format_account(account)
    )


def merging(account: int) -> pb.MergeAccountRequest:
    """Ask for an account to be merged."""
    return pb.MergeAccountRequest(request_id=fresh_text(), account_number=format_account(account))


def euros(minor: int) -> Money:
    """An amount."""
    return Money(amount_minor=minor, currency_code="EUR")


async def refusal_of(call: Awaitable[Any]) -> str:
    """Why a call failed."""
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    return reason_of(error.value)


async def test_distributing_over_the_wire(tmp_path: Path) -> None:
    """The same answer each time; every account has three figures, a new one zeros."""
    async with switch_with_accounts(tmp_path) as (_, stub):
        request = distribution(MALL)
        answers = [await stub.DistributeAccount(request, timeout=LIMIT_S) for _ in range(2)]
        assert answers[0] == answers[1]
        assert answers[0].auxiliary_count == SHARDS
        for account in (MALL, PLAIN):
            ask = pb.GetAccountRequest(account_number=format_account(account))
            seen = (await stub.GetAccount(ask, timeout=LIMIT_S)).account
            assert (seen.balance, seen.auxiliary, seen.total) == (euros(0),) * 3
        merge = merging(PLAIN)
        merged = await stub.MergeAccount(merge, timeout=LIMIT_S)
        assert (merged.merged, merged.account.total) == (euros(0), euros(0))
        assert (await stub.GetTrialBalance(pb.GetTrialBalanceRequest(), timeout=LIMIT_S)).balanced


async def test_what_is_refused(tmp_path: Path) -> None:
    async with switch_with_accounts(tmp_path) as (_, stub):
        first = distribution(MALL)
        await stub.DistributeAccount(first, timeout=LIMIT_S)
        other = distribution(PLAIN, first.request_id)
        nobody = next(accounts_on(0, SHARDS, first=900))
        house = house_account_id(AccountKind.WORLD, 0, EUR)
        for expected, request in {
            "REQUEST_ID_REUSED": other,
            "RESOURCE_UNKNOWN": distribution(nobody),
            "FIELD_INVALID request_id": distribution(MALL, "42"),
            "FIELD_INVALID account_number": pb.DistributeAccountRequest(
                request_id=fresh_text(), account_number=format_account(auxiliary_id(0, MALL))
            ),
        }.items():
            assert await refusal_of(stub.DistributeAccount(request, timeout=LIMIT_S)) == expected
        call = stub.DistributeAccount(distribution(house), timeout=LIMIT_S)
        assert await refusal_of(call) == "RESOURCE_UNKNOWN"
        merge = merging(nobody)
        assert await refusal_of(stub.MergeAccount(merge, timeout=LIMIT_S)) == "RESOURCE_UNKNOWN"


async def test_only_operators_distribute_and_merge(tmp_path: Path) -> None:
    async with switch_with_accounts(tmp_path) as (switch, _):
        for device in ("phone/mall/p1", "agent/corner-shop/till-1"):
            async with switch.line(device) as line:
                stub = AccountServiceStub(line)
                call = stub.DistributeAccount(distribution(MALL), timeout=LIMIT_S)
                assert await refusal_of(call) == "CALLER_NOT_PERMITTED"
                merge = merging(MALL)
                call_merge = stub.MergeAccount(merge, timeout=LIMIT_S)
                assert await refusal_of(call_merge) == "CALLER_NOT_PERMITTED"


async def test_an_auxiliary_is_listed_for_its_owner_alone(tmp_path: Path) -> None:
    """Under the account's own number; one that is not there is unknown."""
    async with switch_with_accounts(tmp_path) as (switch, operator):
        await operator.DistributeAccount(distribution(MALL), timeout=LIMIT_S)
        async with switch.line("phone/mall/p1") as line, switch.line("phone/ann/p1") as other_line:
            owner, other = AccountServiceStub(line), AccountServiceStub(other_line)
            for auxiliary in range(SHARDS + 1):
                ask = pb.ListEntriesRequest(
                    account_number=format_account(MALL), auxiliary=auxiliary
                )
                page = await owner.ListEntries(ask, timeout=LIMIT_S)
                assert page.account.account_number == format_account(MALL)
                assert not page.account.HasField("total")
                call = other.ListEntries(ask, timeout=LIMIT_S)
                assert await refusal_of(call) == "RESOURCE_UNKNOWN"
        for account, auxiliary, expected in (
            (MALL, SHARDS + 1, "RESOURCE_UNKNOWN"),
            (MALL, 2**31 - 1, "RESOURCE_UNKNOWN"),
            (MALL, -1, "FIELD_INVALID auxiliary"),
            (PLAIN, 1, "RESOURCE_UNKNOWN"),
        ):
            ask = pb.ListEntriesRequest(account_number=format_account(account), auxiliary=auxiliary)
            assert await refusal_of(operator.ListEntries(ask, timeout=LIMIT_S)) == expected
