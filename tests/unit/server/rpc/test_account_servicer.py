"""AccountService over a real line: rows B11 and B14, and what is wrong with a request."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc.aio
import pytest

from kessai.account_number import format_account, make_account
from kessai.money import MAX_AMOUNT
from kessai.v1 import account_pb2 as pb
from kessai.v1 import decline_pb2 as d
from kessai.v1.account_pb2_grpc import AccountServiceStub
from kessai.v1.money_pb2 import Money
from tests.unit.server.switch.in_process import LIMIT_S, fresh_text, reason_of, served

if TYPE_CHECKING:
    from kessai.v1.account_pb2_grpc import AccountServiceAsyncStub


@asynccontextmanager
async def accounts(folder: Path) -> AsyncIterator[AccountServiceAsyncStub]:
    """The operator's line to a switch."""
    async with served(folder / "data") as switch, switch.line() as line:
        yield AccountServiceStub(line)


async def opened(
    stub: AccountServiceAsyncStub, owner: str = "wallet/ann", cash: int = 0, number: int = 0
) -> str:
    """Open an account in euros, with cash; its number."""
    request = pb.OpenAccountRequest(
        request_id=fresh_text(), owner=owner, currency_code="EUR", branch=1, number=number
    )
    answer = await stub.OpenAccount(request, timeout=LIMIT_S)
    account_number = answer.account.account_number
    if cash:
        await paid_in(stub, account_number, cash)
    return account_number


async def paid_in(
    stub: AccountServiceAsyncStub, account: str, minor: int, currency: str = "EUR"
) -> d.DeclineReason.ValueType:
    """Pay cash in; the decline reason."""
    request = pb.DepositCashRequest(
        request_id=fresh_text(),
        account_number=account,
        amount=Money(amount_minor=minor, currency_code=currency),
    )
    return (await stub.DepositCash(request, timeout=LIMIT_S)).decline_reason


async def balance(stub: AccountServiceAsyncStub, account: str) -> int:
    """Tell a balance."""
    answer = await stub.GetAccount(pb.GetAccountRequest(account_number=account), timeout=LIMIT_S)
    return answer.account.balance.amount_minor


async def refusal_of(call: Awaitable[Any]) -> str:
    """Why a call failed."""
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    return reason_of(error.value)


async def test_opening_again_is_opening_once(tmp_path: Path) -> None:
    """Also with a number of the switch's choice; a taken number and a used id are refused."""
    async with accounts(tmp_path) as stub:
        request = pb.OpenAccountRequest(
            request_id=fresh_text(), owner="wallet/ann", currency_code="EUR", branch=7
        )
        first = await stub.OpenAccount(request, timeout=LIMIT_S)
        assert await paid_in(stub, first.account.account_number, 500) == 0
        assert await stub.OpenAccount(request, timeout=LIMIT_S) == first
        assert first.account.account_number.startswith("0007")
        assert first.account.balance.currency_code == "EUR"
        for other in ("wallet/bob", "merchant/ann"):
            request.owner = other
            assert await refusal_of(stub.OpenAccount(request)) == "REQUEST_ID_REUSED"
        await opened(stub, number=42)
        taken = pb.OpenAccountRequest(
            request_id=fresh_text(), owner="wallet/bob", currency_code="EUR", branch=1, number=42
        )
        for _ in range(2):
            assert await refusal_of(stub.OpenAccount(taken)) == "RESOURCE_EXISTS"


async def test_cash_once_whatever_is_lost(tmp_path: Path) -> None:
    async with accounts(tmp_path) as stub:
        account = await opened(stub, cash=1000)
        money = Money(amount_minor=300, currency_code="EUR")
        request = pb.WithdrawCashRequest(
            request_id=fresh_text(), account_number=account, amount=money
        )
        answers = [await stub.WithdrawCash(request, timeout=LIMIT_S) for _ in range(3)]
        assert [answer.decline_reason for answer in answers] == [0, 0, 0]
        assert await balance(stub, account) == 700
        request.amount.amount_minor = 301
        assert await refusal_of(stub.WithdrawCash(request)) == "REQUEST_ID_REUSED"
        request.request_id, request.amount.amount_minor = fresh_text(), 701
        answer = await stub.WithdrawCash(request, timeout=LIMIT_S)
        assert answer.decline_reason == d.DECLINE_REASON_INSUFFICIENT_FUNDS


ODD_AMOUNTS: list[tuple[int, str, str | int]] = [
    (0, "EUR", "FIELD_INVALID amount.amount_minor"),
    (-1, "EUR", "FIELD_INVALID amount.amount_minor"),
    (-MAX_AMOUNT - 1, "EUR", "FIELD_INVALID amount.amount_minor"),
    (5, "EURO", "FIELD_INVALID amount.currency_code"),
    (5, "", "FIELD_INVALID amount.currency_code"),
    (5, "JPY", d.DECLINE_REASON_CURRENCY_MISMATCH),
    (MAX_AMOUNT, "EUR", 0),
    (1, "EUR", d.DECLINE_REASON_AMOUNT_TOO_LARGE),
]


async def test_odd_amounts(tmp_path: Path) -> None:
    """Zero, less, too much, other money: a field is named, or a reason."""
    async with accounts(tmp_path) as stub:
        account = await opened(stub)
        for minor, currency, expected in ODD_AMOUNTS:
            request = pb.DepositCashRequest(
                request_id=fresh_text(),
                account_number=account,
                amount=Money(amount_minor=minor, currency_code=currency),
            )
            if isinstance(expected, str):
                assert await refusal_of(stub.DepositCash(request)) == expected
            else:
                answer = await stub.DepositCash(request, timeout=LIMIT_S)
                assert answer.decline_reason == expected
        assert await balance(stub, account) == MAX_AMOUNT


ODD_OPENINGS: list[tuple[str, str | int]] = [
    ("request_id", ""),
    ("request_id", "0190"),
    ("request_id", "6ba7b810-9dad-11d1-80b4-00c04fd430c8"),
    ("owner", "ann"),
    ("owner", "house"),
    ("owner", "wallet/Ann"),
    ("owner", f"wallet/{'a' * 41}"),
    ("currency_code", "eur"),
    ("branch", 0),
    ("branch", 10_000),
    ("number", -1),
    ("number", 100_000_000),
]


async def test_a_malformed_opening_names_its_field(tmp_path: Path) -> None:
    async with accounts(tmp_path) as stub:
        for field, value in ODD_OPENINGS:
            request = pb.OpenAccountRequest(
                request_id=fresh_text(), owner="wallet/ann", currency_code="EUR", branch=1
            )
            setattr(request, field, value)
            assert await refusal_of(stub.OpenAccount(request)) == f"FIELD_INVALID {field}"


async def test_a_statement_is_paged_newest_first(tmp_path: Path) -> None:
    """Every entry once, and each page tells the account as it stood."""
    async with accounts(tmp_path) as stub:
        account = await opened(stub)
        for minor in range(1, 8):
            await paid_in(stub, account, minor)
        token, pages = "", []
        while True:
            request = pb.ListEntriesRequest(account_number=account, page_size=3, page_token=token)
            page = await stub.ListEntries(request, timeout=LIMIT_S)
            pages.append(page)
            token = page.next_page_token
            if not token:
                break
        entries = [entry for page in pages for entry in page.entries]
        assert [len(page.entries) for page in pages] == [3, 3, 1]
        assert [entry.sequence for entry in entries] == [7, 6, 5, 4, 3, 2, 1]
        assert [entry.amount.amount_minor for entry in entries] == [7, 6, 5, 4, 3, 2, 1]
        assert [entry.balance.amount_minor for entry in entries] == [28, 21, 15, 10, 6, 3, 1]
        assert {page.account.balance.amount_minor for page in pages} == {28}
        assert {entry.kind for entry in entries} == {pb.ENTRY_KIND_CASH_DEPOSIT}
        empty = await opened(stub)
        request = pb.ListEntriesRequest(account_number=empty)
        answer = await stub.ListEntries(request, timeout=LIMIT_S)
        assert (len(answer.entries), answer.next_page_token) == (0, "")


ODD_PAGES: list[tuple[str, str | int]] = [
    ("page_size", -1),
    ("page_size", 501),
    ("page_token", "-1"),
    ("page_token", "x"),
    ("page_token", "٣"),
    ("page_token", "9" * 19),
    ("account_number", "00010000004219"),
    ("account_number", ""),
]


async def test_a_malformed_statement_names_its_field(tmp_path: Path) -> None:
    async with accounts(tmp_path) as stub:
        account = await opened(stub)
        for field, value in ODD_PAGES:
            request = pb.ListEntriesRequest(account_number=account)
            setattr(request, field, value)
            assert await refusal_of(stub.ListEntries(request)) == f"FIELD_INVALID {field}"


async def test_anothers_account_looks_like_none(tmp_path: Path) -> None:
    """Row B14: balance and history are the owner's, from any of his phones, and nobody else's."""
    async with served(tmp_path / "data") as switch, switch.line() as line:
        operator = AccountServiceStub(line)
        anns = await opened(operator, "wallet/ann", 500)
        bobs = await opened(operator, "wallet/bob", 700)
        shops = await opened(operator, "merchant/ann", 900)
        nobodys = format_account(make_account(1, 4711))
        for phone in ("phone/ann/pixel", "phone/ann/tablet"):
            async with switch.line(phone) as own_line:
                stub = AccountServiceStub(own_line)
                assert await balance(stub, anns) == 500
                listing = pb.ListEntriesRequest(account_number=anns)
                assert len((await stub.ListEntries(listing, timeout=LIMIT_S)).entries) == 1
                answers = set()
                for other in (bobs, shops, nobodys):
                    one = pb.GetAccountRequest(account_number=other)
                    many = pb.ListEntriesRequest(account_number=other)
                    for call in (stub.GetAccount(one), stub.ListEntries(many)):
                        with pytest.raises(grpc.aio.AioRpcError) as error:
                            await call
                        answers.add((reason_of(error.value), error.value.details()))
                assert len(answers) == 1
                assert answers.pop()[0] == "RESOURCE_UNKNOWN"


async def test_the_trial_balance_adds_up(tmp_path: Path) -> None:
    async with accounts(tmp_path) as stub:
        for owner, cash in (("wallet/ann", 500), ("wallet/bob", 700), ("merchant/shop", 11)):
            await opened(stub, owner, cash)
        answer = await stub.GetTrialBalance(pb.GetTrialBalanceRequest(), timeout=LIMIT_S)
    lines = {line.account_kind: line for line in answer.lines}
    assert answer.balanced
    assert (lines["customer"].account_count, lines["customer"].credits_minor) == (2, 1200)
    assert (lines["merchant"].account_count, lines["merchant"].credits_minor) == (1, 11)
    assert lines["world"].debits_minor == 1211
    assert {line.currency_code for line in answer.lines} == {"EUR"}
