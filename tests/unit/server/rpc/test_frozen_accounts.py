"""What freezing an account does to its phones, and what else bars or outlives its standing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from kessai.account_number import format_account, parse_account
from kessai.holder import open_credential
from kessai.money import Money
from kessai.v1 import account_pb2 as pb
from kessai.v1 import decline_pb2 as d
from kessai.v1.account_pb2_grpc import AccountServiceStub
from server.domain.directory import DenyKind
from tests.unit.server.domain.commands import MINUTE_US, accounts_on, fresh_id, open_account, pay
from tests.unit.server.rpc.test_account_servicer import refusal_of
from tests.unit.server.rpc.test_fare_servicer import ANN, LIMIT_S, Station
from tests.unit.server.switch.in_process import fresh_text, now_us, served

if TYPE_CHECKING:
    from kessai.v1.account_pb2_grpc import AccountServiceAsyncStub


@asynccontextmanager
async def at_station(folder: Path) -> AsyncIterator[tuple[Station, AccountServiceAsyncStub]]:
    """Ann's phone is certified; and the operator's line."""
    async with served(folder / "data") as switch, switch.line() as line:
        station = Station(switch)
        await station.open()
        yield station, AccountServiceStub(line)


def limit_of(station: Station) -> Money | None:
    """What terminals may accept of the phone without asking."""
    key = station.switch.switch._keyring.signing_key.public_key()
    return open_credential(station.credential, key).offline_limit


def is_denied(station: Station) -> bool:
    """Whether the phone's newest credential is on the deny list."""
    key = station.switch.switch._keyring.signing_key.public_key()
    credential = open_credential(station.credential, key)
    deny_list = station.switch.switch._deny_list
    return deny_list.is_denied(DenyKind.CREDENTIAL, credential.credential_id)


async def may_enter(station: Station) -> bool:
    """Whether the gate lets the phone in."""
    return not (await station.confirm(station.asking())).decline_reason


async def test_freezing_takes_the_phones_credentials_back(tmp_path: Path) -> None:
    """A new one has no off-line limit and no ride; after the release it has both."""
    async with at_station(tmp_path) as (station, accounts):
        assert (limit_of(station), is_denied(station)) == (Money(2000, "EUR"), False)
        assert await may_enter(station)
        freeze = pb.FreezeAccountRequest(request_id=fresh_text(), account_number=ANN)
        await accounts.FreezeAccount(freeze, timeout=LIMIT_S)
        assert is_denied(station)
        await station.certify()
        assert (limit_of(station), is_denied(station)) == (None, False)
        assert not await may_enter(station)
        unfreeze = pb.UnfreezeAccountRequest(request_id=fresh_text(), account_number=ANN)
        await accounts.UnfreezeAccount(unfreeze, timeout=LIMIT_S)
        await station.certify()
        assert (limit_of(station), is_denied(station)) == (Money(2000, "EUR"), False)
        assert await may_enter(station)


async def test_a_repeated_freeze_takes_nothing_back_again(tmp_path: Path) -> None:
    """Neither what was issued to the frozen account nor what it has since it is open again."""
    async with at_station(tmp_path) as (station, accounts):
        freeze = pb.FreezeAccountRequest(request_id=fresh_text(), account_number=ANN)
        first = await accounts.FreezeAccount(freeze, timeout=LIMIT_S)
        await station.certify()
        assert await accounts.FreezeAccount(freeze, timeout=LIMIT_S) == first
        assert not is_denied(station)
        unfreeze = pb.UnfreezeAccountRequest(request_id=fresh_text(), account_number=ANN)
        await accounts.UnfreezeAccount(unfreeze, timeout=LIMIT_S)
        await station.certify()
        assert await accounts.FreezeAccount(freeze, timeout=LIMIT_S) == first
        assert not is_denied(station)
        assert await may_enter(station)


async def test_a_closed_account_is_not_distributed(tmp_path: Path) -> None:
    """A request that was done while it was open gets its answer, and changes nothing."""
    async with at_station(tmp_path) as (station, accounts):
        shards, busy, plain = station.switch.switch._shards, *accounts_on_first(2)
        for account in (busy, plain):
            opening = open_account(account, "wallet/ann", request_id=fresh_id(now_us()))
            await shards.submit(opening)
        done = pb.DistributeAccountRequest(
            request_id=fresh_text(), account_number=format_account(busy)
        )
        first = await accounts.DistributeAccount(done, timeout=LIMIT_S)
        for account in (busy, plain):
            close = pb.CloseAccountRequest(
                request_id=fresh_text(), account_number=format_account(account)
            )
            assert not (await accounts.CloseAccount(close, timeout=LIMIT_S)).decline_reason
        again = await accounts.DistributeAccount(done, timeout=LIMIT_S)
        assert again.auxiliary_count == first.auxiliary_count
        for account in (busy, plain):
            late = pb.DistributeAccountRequest(
                request_id=fresh_text(), account_number=format_account(account)
            )
            assert await refusal_of(accounts.DistributeAccount(late)) == "RESOURCE_UNKNOWN"


async def test_an_account_that_money_is_on_its_way_to_is_not_closed(tmp_path: Path) -> None:
    """It was paid on another shard, and has not arrived yet."""
    async with at_station(tmp_path) as (station, accounts):
        switch = station.switch.switch
        ann = parse_account(ANN)
        other = 1 - switch._shards.home_of(ann).place.shard
        payee = next(accounts_on(other, 2, first=700))
        await switch._shards.submit(open_account(payee, request_id=fresh_id(now_us())))
        await switch._depositor.close()
        paid_us = now_us()
        await switch._shards.submit(
            pay(
                ann, payee, 5, request_id=fresh_id(paid_us), create_us=paid_us,
                expire_us=paid_us + MINUTE_US,
            )
        )  # fmt: skip
        close = pb.CloseAccountRequest(
            request_id=fresh_text(), account_number=format_account(payee)
        )
        assert await refusal_of(accounts.CloseAccount(close)) == "RESOURCE_IN_USE"
        switch._depositor.start()
        await switch._depositor.idle(LIMIT_S)
        declined = await accounts.CloseAccount(close, timeout=LIMIT_S)
        assert declined.decline_reason == d.DECLINE_REASON_ACCOUNT_NOT_EMPTY


def accounts_on_first(count: int) -> list[int]:
    """Some accounts of the first shard that nobody has."""
    return [a for a, _ in zip(accounts_on(0, 2, first=800), range(count), strict=False)]
