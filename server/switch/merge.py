"""Merging (row B12): what auxiliaries hold goes to the busy payees' own accounts.

By itself every few seconds, a task a shard, and at once when an operator asks. A merge is one
commit in the auxiliary's shard, with an outbox row; the depositor brings it on as it brings
payments. So a crash finds it not begun, or owed. Started by `server/bootstrap.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

import structlog

from kessai.request_id import new_request_id
from kessai.v1 import account_pb2
from server.domain import busy_payee
from server.domain.busy_payee import merging_id
from server.domain.command import ACCEPTED, CommandKind
from server.identity.refusals import RequestIdReused
from server.ledger.account import Account
from server.ledger.chart import auxiliary_id
from server.shards.clock_watch import ClockJumped
from server.shards.router import Shards
from server.shards.settlement_log import LogRow
from server.shards.store import OutboxRow
from server.switch.background import Background, Waiting
from server.switch.depositor import Depositor
from server.switch.refused import refusing_store_trouble
from server.switch.settle import Settle

_AT_ONCE = 512

log = structlog.get_logger("merge")


class Merge:
    """Merges every `every_s` seconds until closed. `random_bytes` is for request ids."""

    def __init__(
        self,
        shards: Shards,
        settle: Settle,
        depositor: Depositor,
        now_us: Callable[[], int],
        random_bytes: Callable[[int], bytes],
        every_s: float,
    ) -> None:
        self._shards, self._settle = shards, settle
        self._depositor = depositor
        self._now_us = now_us
        self._random_bytes = random_bytes
        self._every_s = every_s
        self._background = Background(log)

    def start(self) -> None:
        """Begin, in the running event loop."""
        for shard in range(len(self._shards)):
            self.add(shard)

    def add(self, shard: int) -> None:
        """Begin with one shard."""
        self._background.keep("merges wait", partial(self._merge_by_itself, shard), shard=shard)

    async def close(self) -> None:
        """Stop; what is not merged stays in the auxiliaries."""
        await self._background.close()

    async def merge_shard(self, shard: int) -> int:
        """Merge all auxiliaries of a shard that hold money; how many there were.

        Waiting if some of them could not be merged; the others were.
        """
        first, last, count = auxiliary_id(shard, 0), auxiliary_id(shard + 1, 0) - 1, 0
        troubles: list[BaseException] = []
        while page := await self._holding(shard, first, last):
            merges = (self._merge(auxiliary) for auxiliary in page)
            outcomes = await asyncio.gather(*merges, return_exceptions=True)
            troubles += (o for o in outcomes if isinstance(o, BaseException))
            count += len(page)
            first = page[-1].id + 1
        for trouble in troubles:
            if isinstance(trouble, ClockJumped):
                raise trouble
            why = str(trouble) or type(trouble).__name__
            raise Waiting(f"{len(troubles)} of them: {why}")
        return count

    async def merge_account(self, account_id: int, ledger: int, request_id: bytes) -> int:
        """Merge the auxiliaries of one payee and wait until it arrived; how much it was.

        A request that was done before merges nothing more, and gives the same answer. What another
        merge took a moment before is not counted. Raises what `Settle` raises.
        """
        with refusing_store_trouble():
            shards = range(len(self._shards))
            merged = (self._bring(n, account_id, ledger, request_id) for n in shards)
            return sum(await asyncio.gather(*merged))

    async def _merge_by_itself(self, shard: int) -> None:
        await asyncio.sleep(self._every_s)
        await self.merge_shard(shard)

    async def _holding(self, shard: int, first: int, last: int) -> list[Account]:
        return await self._shards.shard(shard).read(
            lambda reader: reader.holding(first, last, _AT_ONCE)
        )

    async def _bring(self, shard: int, account_id: int, ledger: int, request_id: bytes) -> int:
        own_id, auxiliary_number = merging_id(request_id, shard), auxiliary_id(shard, account_id)
        row = await self._shards.shard(shard).read(lambda reader: reader.row(own_id))
        if row is None:
            auxiliary = await self._shards.account(auxiliary_number)
            # Nothing to merge is declined and logged: the answer to this request for ever.
            amount = 0 if auxiliary is None else auxiliary.balance
            command = busy_payee.merge(own_id, auxiliary_number, amount, ledger)
            _, row = await self._settle(command)
        elif (row.kind, row.payer) != (CommandKind.MERGE_AUXILIARY, auxiliary_number):
            raise RequestIdReused
        if row.decline != ACCEPTED:
            return 0
        await self._depositor.bring(
            shard,
            OutboxRow(
                row.sequence, row.request_id, row.payer, row.payee, row.amount, row.ledger,
                account_pb2.ENTRY_KIND_MERGE,
            ),
        )  # fmt: skip
        return row.amount

    async def _merge(self, auxiliary: Account) -> LogRow:
        # If another merge was faster, this one is declined: what it names is not there any more.
        request_id = new_request_id(self._now_us() // 1000, self._random_bytes)
        return await self._shards.submit(
            busy_payee.merge(request_id, auxiliary.id, auxiliary.balance, auxiliary.ledger)
        )
