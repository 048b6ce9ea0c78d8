"""Freezing, releasing and closing accounts, and listing them, for operators.

An account is closed only while nothing names it: no merchant is paid on it, no phone was told of
it, nothing is on its way to it. Whoever is about to name an account holds `AccountNames` meanwhile,
so none is named while it is being closed.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from operator import attrgetter

from kessai.account_number import format_account, parse_account
from kessai.v1.account_pb2 import (
    CloseAccountRequest,
    DistributeAccountRequest,
    FreezeAccountRequest,
    UnfreezeAccountRequest,
)
from kessai.v1.decline_pb2 import DeclineReason
from server.domain.account_standing import (
    CloseAccount,
    FreezeAccount,
    UnfreezeAccount,
    change_standing,
)
from server.domain.command import ACCEPTED
from server.identity.directory_call import in_thread
from server.identity.refusals import InUse, Unknown
from server.ledger.account import Account
from server.shards.account_names import AccountNames
from server.shards.router import Shards
from server.switch.busy_payees import BusyPayees
from server.switch.refused import refusing_store_trouble
from server.switch.settle import Settle

_ALL_OWED = 1_000_000


class NamingTurn:
    """Taken by whoever names an account, or closes one: one at a time."""

    def __init__(self, shards: Shards) -> None:
        self._shards = shards
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def naming(self, *accounts: int) -> AsyncIterator[None]:
        """Have nobody close these meanwhile; Unknown if one is closed already."""
        async with self._lock:
            with refusing_store_trouble():
                for account_id in accounts:
                    account = await self._shards.account(account_id)
                    if account is not None and account.is_closed:
                        raise Unknown(f"account {format_account(account_id)} is closed")
            yield

    @asynccontextmanager
    async def closing(self) -> AsyncIterator[None]:
        """Have nobody name an account meanwhile."""
        async with self._lock:
            yield


class Standings:
    """What operators do with the standing of accounts."""

    def __init__(
        self,
        shards: Shards,
        settle: Settle,
        busy: BusyPayees,
        names: AccountNames,
        turn: NamingTurn,
        take_back: Callable[[int, int], None],
    ) -> None:
        """`take_back` denies the credentials that were issued for an account until a time."""
        self._shards, self._settle, self._busy = shards, settle, busy
        self._names, self._turn, self._take_back = names, turn, take_back

    async def freeze(
        self, message: FreezeAccountRequest, request_id: bytes, operator: str
    ) -> DeclineReason.ValueType:
        """Freeze an account, then take its credentials back; raises what `Settle` raises.

        Asked again, those that were issued since stay good: the account may be open again.
        """
        command = change_standing(FreezeAccount, message, request_id, operator)
        _, row = await self._settle(command)
        if row.decline == ACCEPTED:
            await in_thread(self._take_back, command.payee, row.time.decide_us)
        return row.decline

    async def unfreeze(
        self, message: UnfreezeAccountRequest, request_id: bytes, operator: str
    ) -> DeclineReason.ValueType:
        """Let money out of an account again; raises what `Settle` raises."""
        command = change_standing(UnfreezeAccount, message, request_id, operator)
        return (await self._settle(command))[1].decline

    async def close(
        self, message: CloseAccountRequest, request_id: bytes, operator: str
    ) -> DeclineReason.ValueType:
        """Close an account; InUse if something names it, and what `Settle` raises."""
        command = change_standing(CloseAccount, message, request_id, operator)
        async with self._turn.closing():
            await self._require_unnamed(command.payee)
            return (await self._settle(command))[1].decline

    async def distribute(
        self, message: DistributeAccountRequest, request_id: bytes, operator: str
    ) -> int:
        """Distribute an account; on how many shards.

        Unknown if it is closed, but for a request that was done before; and what `BusyPayees`
        raises.
        """
        account_id = parse_account(message.account_number)
        async with self._turn.closing():
            account = (await self._busy.holding(account_id, None)).account
            with refusing_store_trouble():
                is_new = await self._shards.find(request_id) is None
            if account.is_closed and is_new:
                raise Unknown(f"account {format_account(account_id)} is closed; nothing was done")
            return await self._busy.distribute(message, request_id, account_id, operator)

    async def page(self, after: int, size: int, owner: str) -> list[Account]:
        """List accounts of people by number, after a number; "": of all owners. Unavailable."""
        with refusing_store_trouble():
            pages = await asyncio.gather(
                *(
                    self._shards.shard(number).read(
                        lambda reader: reader.accounts_after(after, owner, size)
                    )
                    for number in range(len(self._shards))
                )
            )
        return list(heapq.merge(*pages, key=attrgetter("id")))[:size]

    async def _require_unnamed(self, account_id: int) -> None:
        names = await in_thread(self._names.of, account_id)
        if names:
            raise InUse(f"{', '.join(names)} names this account; nothing was done")
        shards = range(len(self._shards))
        with refusing_store_trouble():
            held = [
                await self._shards.shard(shard).read(lambda reader: reader.awaits(account_id))
                for shard in shards
            ]
            owed = [
                row
                for shard in shards
                for row in await self._shards.outbox(shard, _ALL_OWED)
                if row.payee == account_id
            ]
        if any(held):
            raise InUse(
                "payments to this account are on hold; nothing was done: try again once they are "
                "captured, voided, or over"
            )
        if owed:
            raise InUse("money is on its way to this account; nothing was done: try again soon")
        if (await self._busy.holding(account_id, None)).auxiliary:
            raise InUse(
                "its auxiliaries hold money; nothing was done: kessai account merge brings it home"
            )
