"""Busy payees (row B12): distributing an account, and what it and its auxiliaries hold.

Called by `server/rpc/account_servicer.py`. What auxiliaries hold is moved by `merge.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from kessai.v1.account_pb2 import DistributeAccountRequest, OperatorEvidence
from server.domain.busy_payee import OpenAuxiliary, not_merged, opening_id
from server.domain.command import ACCEPTED
from server.domain.history import operator_input_hash
from server.identity.refusals import Unknown
from server.ledger.account import Account
from server.ledger.chart import HOUSE, auxiliary_id, merged_id
from server.shards.router import Shards
from server.switch.refused import Unavailable, refusing_store_trouble
from server.switch.settle import Settle


@dataclass(frozen=True, slots=True)
class Holding:
    """An account, and what its auxiliaries hold beside it (minor units; 0 if it has none)."""

    account: Account
    auxiliary: int = 0

    @property
    def total(self) -> int:
        """The balance and the auxiliaries, each payment counted once."""
        return self.account.balance + self.auxiliary


# While it is distributed an account may move to another shard, though hardly more than once.
_HOMES_TRIED = 3


class BusyPayees:
    """What operators do with the accounts of busy payees, and what their owners see."""

    def __init__(self, shards: Shards, settle: Settle) -> None:
        self._shards = shards
        self._settle = settle

    async def distribute(
        self, message: DistributeAccountRequest, request_id: bytes, account_id: int, operator: str
    ) -> int:
        """Open an auxiliary on every shard, where there is none yet; how many there are.

        The payee's own shard goes first, because what it opens makes the account a busy payee's:
        if the switch is killed right after it, the other shards pay through transit as before, and
        the repeated request, or another one, goes on. Raises Unknown, and what `Settle` raises.
        """
        account = (await self.holding(account_id, None)).account
        if account.owner == HOUSE:
            raise _unknown()
        request = message.SerializeToString(deterministic=True)
        content = operator_input_hash(request)
        evidence = OperatorEvidence(operator=operator, request=request, owner=account.owner)
        body = evidence.SerializeToString()

        def opening(own_id: bytes, shard: int) -> OpenAuxiliary:
            auxiliary, ledger = auxiliary_id(shard, account_id), account.ledger
            return OpenAuxiliary(
                own_id, content, 0, auxiliary, 0, ledger, body, owner=account.owner
            )

        home = await self._open_at_home(account_id, lambda shard: opening(request_id, shard))
        others = [shard for shard in range(len(self._shards)) if shard != home]
        with refusing_store_trouble():
            await asyncio.gather(
                *(self._shards.submit(opening(opening_id(request_id, n), n)) for n in others)
            )
        return len(self._shards)

    async def _open_at_home(self, account_id: int, opening: Callable[[int], OpenAuxiliary]) -> int:
        """Open what makes the account a busy payee's; where its home is, also if that has moved."""
        for _ in range(_HOMES_TRIED):
            home = self._shards.home_of(account_id).place.shard
            _, row = await self._settle(opening(home))
            if row.decline != ACCEPTED:
                raise _unknown()
            with refusing_store_trouble():
                at_home = await self._shards.look(
                    account_id, lambda reader: reader.accounts((merged_id(account_id),)), bool
                )
            if at_home:
                return home
        raise Unavailable("its slot is being moved to another shard")

    async def holding(self, account_id: int, owner: str | None) -> Holding:
        """Give an account and what its auxiliaries hold; exact at all times (see `not_merged`).

        Unknown if there is none, or it is not the owner's (None: anybody's); Unavailable also if
        the shard of an auxiliary cannot be read, rather than a figure that lacks it.
        """
        merged_account = merged_id(account_id)
        with refusing_store_trouble():
            accounts = await self._shards.look(
                account_id, lambda reader: reader.accounts((account_id, merged_account)), bool
            )
            found = {account.id: account for account in accounts}
            account, merged = found.get(account_id), found.get(merged_account)
            if account is None or (owner is not None and account.owner != owner):
                raise _unknown()
            if merged is None:
                return Holding(account)
            auxiliaries = await asyncio.gather(
                *(self._shards.account(auxiliary_id(shard, account_id))
                  for shard in range(len(self._shards)))
            )  # fmt: skip
        return Holding(account, not_merged(merged, filter(None, auxiliaries)))


def _unknown() -> Unknown:
    return Unknown("there is no such account, or it is not yours")
