"""SuspenseService over a real line: what no payee could take, seen and paid out once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kessai.account_number import format_account, parse_account
from kessai.request_id import format_request_id
from kessai.v1 import account_pb2, suspense_pb2
from kessai.v1 import decline_pb2 as d
from kessai.v1.account_pb2_grpc import AccountServiceStub
from kessai.v1.money_pb2 import Money
from kessai.v1.suspense_pb2_grpc import SuspenseServiceStub
from server.ledger.chart import AccountKind, house_account_id
from server.shards.books_file import read_books
from server.shards.verify import verify
from tests.unit.server.domain.commands import (
    EUR,
    JPY,
    MINUTE_US,
    accounts_on,
    close,
    deposit,
    fresh_id,
    open_account,
    pay,
    release_to,
)
from tests.unit.server.rpc.test_account_servicer import refusal_of
from tests.unit.server.switch.in_process import LIMIT_S, Served, fresh_text, now_us, served

if TYPE_CHECKING:
    from kessai.v1.account_pb2_grpc import AccountServiceAsyncStub
    from kessai.v1.suspense_pb2_grpc import SuspenseServiceAsyncStub

SHARDS = 2
_here, _far = accounts_on(0, SHARDS), accounts_on(1, SHARDS)
ANN, EVE, YEN, GONE, NOBODY = (next(_here) for _ in range(5))
BOB, LOST = next(_far), next(_far)


@dataclass
class Desk:
    """An operator's line to a switch with accounts on both shards."""

    switch: Served
    stub: SuspenseServiceAsyncStub
    accounts: AccountServiceAsyncStub

    async def lose(self, minor: int) -> str:
        """Have Ann pay an account of the other shard that is not there; the payment's id."""
        paid_us, request_id = now_us(), fresh_id(now_us())
        until_us = paid_us + MINUTE_US
        command = pay(
            ANN, LOST, minor, request_id=request_id, create_us=paid_us, expire_us=until_us
        )
        assert not (await self.switch.switch._shards.submit(command)).decline
        await self.switch.switch._depositor.idle(LIMIT_S)
        return format_request_id(request_id)

    def request(self, entry: str, account: int, minor: int) -> suspense_pb2.ReleaseSuspenseRequest:
        """Ask to pay an entry out."""
        return suspense_pb2.ReleaseSuspenseRequest(
            request_id=fresh_text(),
            entry_request_id=entry,
            account_number=format_account(account),
            amount=Money(amount_minor=minor, currency_code="EUR"),
        )

    async def release(self, request: suspense_pb2.ReleaseSuspenseRequest) -> int:
        """Pay out; the decline reason."""
        return (await self.stub.ReleaseSuspense(request, timeout=LIMIT_S)).decline_reason

    async def lying(self, page_size: int = 0) -> list[suspense_pb2.SuspenseEntry]:
        """All that lies there, page after page."""
        found, token = list[suspense_pb2.SuspenseEntry](), ""
        while True:
            request = suspense_pb2.ListSuspenseRequest(page_size=page_size, page_token=token)
            page = await self.stub.ListSuspense(request, timeout=LIMIT_S)
            found += page.entries
            token = page.next_page_token
            if not token:
                return found

    async def balance(self, account: int) -> int:
        """What an account holds, minor units."""
        request = account_pb2.GetAccountRequest(account_number=format_account(account))
        answer = await self.accounts.GetAccount(request, timeout=LIMIT_S)
        return answer.account.balance.amount_minor


@asynccontextmanager
async def at_desk(folder: Path, faults: int = 0) -> AsyncIterator[Desk]:
    """A switch of two shards, where Ann has 100.00; its books are verified at the end."""
    async with served(folder / "data") as switch, switch.line() as line:
        shards = switch.switch._shards
        for command in (
            *(open_account(a, "wallet/ann", request_id=fresh_id(now_us())) for a in (ANN, EVE)),
            open_account(YEN, "wallet/ann", JPY, request_id=fresh_id(now_us())),
            open_account(GONE, "wallet/ann", request_id=fresh_id(now_us())),
            open_account(BOB, "wallet/bob", request_id=fresh_id(now_us())),
            close(GONE, request_id=fresh_id(now_us())),
            deposit(ANN, 10_000, request_id=fresh_id(now_us())),
        ):
            assert not (await shards.submit(command)).decline
        yield Desk(switch, SuspenseServiceStub(line), AccountServiceStub(line))
        await switch.switch._depositor.idle(LIMIT_S)
    books = read_books(folder / "data")
    places = books.addresses(folder / "data")
    found = verify(lambda: [at.open_reader() for at in places], books.slots).faults
    assert len(found) == faults
    assert all("releases what did not come into suspense" in fault for fault in found)


async def test_what_lies_in_suspense_is_seen_page_by_page(tmp_path: Path) -> None:
    async with at_desk(tmp_path) as desk:
        assert await desk.lying() == []
        lost = [await desk.lose(minor) for minor in (30, 20, 10)]
        for size in (0, 1, 2, 3):
            found = await desk.lying(size)
            assert [entry.entry_request_id for entry in found] == lost[::-1]
        entry = found[0]
        assert (entry.amount.amount_minor, entry.amount.currency_code) == (10, "EUR")
        assert parse_account(entry.payer_account_number) == ANN
        assert parse_account(entry.payee_account_number) == LOST
        assert entry.kind == account_pb2.ENTRY_KIND_PAYMENT
        for token in ("x", "1.", "-1.2", "1.2.3"):
            call = desk.stub.ListSuspense(suspense_pb2.ListSuspenseRequest(page_token=token))
            assert await refusal_of(call) == "FIELD_INVALID page_token"


@pytest.mark.parametrize("target", [EVE, BOB])
async def test_an_entry_is_paid_out_once(tmp_path: Path, target: int) -> None:
    """To an account of its shard or of another one; a repeat pays once, another request nothing."""
    async with at_desk(tmp_path) as desk:
        lost, other = await desk.lose(30), await desk.lose(20)
        request = desk.request(lost, target, 30)
        for _ in range(3):
            assert await desk.release(request) == 0
        again = desk.request(lost, ANN, 30)
        assert await desk.release(again) == d.DECLINE_REASON_ALREADY_RELEASED
        await desk.switch.switch._depositor.idle(LIMIT_S)
        assert (await desk.balance(target), await desk.balance(ANN)) == (30, 9950)
        assert [entry.entry_request_id for entry in await desk.lying()] == [other]
        request.account_number = format_account(ANN)
        assert await refusal_of(desk.stub.ReleaseSuspense(request)) == "REQUEST_ID_REUSED"


async def test_what_is_not_there_is_not_paid_out(tmp_path: Path) -> None:
    """No such entry, what arrived at its payee, another amount, and who cannot be paid."""
    async with at_desk(tmp_path) as desk:
        lost = await desk.lose(30)
        unknown = desk.request(fresh_text(), EVE, 30)
        assert await refusal_of(desk.stub.ReleaseSuspense(unknown)) == "RESOURCE_UNKNOWN"
        assert await desk.release(desk.request(lost, BOB, 30)) == 0
        arrived = desk.request(lost, EVE, 30)
        more = await desk.lose(20)
        for minor in (19, 21):
            wrong = desk.request(more, EVE, minor)
            assert await refusal_of(desk.stub.ReleaseSuspense(wrong)) == "FIELD_INVALID amount"
        wrong = desk.request(more, EVE, 20)
        wrong.amount.currency_code = "JPY"
        assert await refusal_of(desk.stub.ReleaseSuspense(wrong)) == "FIELD_INVALID amount"
        house = house_account_id(AccountKind.WORLD, 0, EUR)
        for account, reason in (
            (NOBODY, d.DECLINE_REASON_PAYEE_ACCOUNT_UNKNOWN),
            (house, d.DECLINE_REASON_PAYEE_ACCOUNT_UNKNOWN),
            (GONE, d.DECLINE_REASON_ACCOUNT_CLOSED),
            (YEN, d.DECLINE_REASON_CURRENCY_MISMATCH),
        ):
            assert await desk.release(desk.request(more, account, 20)) == reason
        assert await desk.release(arrived) == d.DECLINE_REASON_ALREADY_RELEASED
        paid = await desk.lose(5)
        assert await desk.release(desk.request(paid, EVE, 5)) == 0


async def test_a_decline_is_the_answer_for_ever(tmp_path: Path) -> None:
    """Also when the account was opened meanwhile; a new request is decided anew."""
    async with at_desk(tmp_path) as desk:
        request = desk.request(await desk.lose(30), NOBODY, 30)
        assert await desk.release(request) == d.DECLINE_REASON_PAYEE_ACCOUNT_UNKNOWN
        opening = open_account(NOBODY, "wallet/ann", request_id=fresh_id(now_us()))
        await desk.switch.switch._shards.submit(opening)
        assert await desk.release(request) == d.DECLINE_REASON_PAYEE_ACCOUNT_UNKNOWN
        request.request_id = fresh_text()
        assert await desk.release(request) == 0


async def test_a_release_of_what_never_came_does_not_verify(tmp_path: Path) -> None:
    """Though as much lies there: the shard takes the switch's word, the verifier does not."""
    async with at_desk(tmp_path, faults=1) as desk:
        await desk.lose(30)
        made_up = release_to(EVE, 30, fresh_id(now_us()), 1, request_id=fresh_id(now_us()))
        assert not (await desk.switch.switch._shards.submit(made_up)).decline
