"""Settling: the one way in which a command of a feature reaches its shard.

Every feature hands its commands to `settle`, which keeps the promise of the request id over all
shards, and turns the store's troubles into refusals that a caller understands. With `depositor.py`
the only code that spans shards.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any

from server.domain.command import Command
from server.identity.refusals import Refusal, RequestIdReused
from server.shards import settlement_log
from server.shards.relocate import SlotMoved
from server.shards.router import Shards
from server.shards.routes import slot_of_home
from server.shards.settlement_log import LogRow
from server.switch.claims import MEMORY_US, Claims, is_young
from server.switch.faults import refusal_of
from server.switch.refused import RequestIdStale, refusing_store_trouble

# The shard and log row of a command, or why it was not decided; and with its position among those
# that came together.
Outcome = tuple[int, LogRow] | Refusal
Settled = tuple[int, Outcome]


class Settle:
    """Submits commands, each with one effect for ever."""

    def __init__(self, shards: Shards, now_us: Callable[[], int]) -> None:
        """`now_us` may raise StoreUnavailable: then nothing is settled."""
        self._shards = shards
        self._now_us = now_us
        self._claims = Claims(now_us())

    async def restore(self) -> None:
        """Learn from the logs which request ids were used lately; before the first command."""
        since_us = self._now_us() - MEMORY_US
        self._claims.restore(await self._shards.recent_request_ids(since_us))

    async def __call__(self, command: Command, deferred: bool = False) -> tuple[int, LogRow]:
        """Have a command decided and made durable: its shard and its log row.

        A command that was done before gets its first row. One that was `deferred` may be new
        though its id is old; then all logs are asked for it first. Raises RequestIdReused,
        RequestIdStale, Unavailable, Overloaded.
        """
        with refusing_store_trouble():
            now_us = self._now_us()
            young = is_young(command.request_id, now_us)
            if not young and not deferred:
                return await self._first_row(command, now_us)
            if not young:  # asked before it is claimed: a claim must not outlive a refusal here
                found = await self._shards.find(command.request_id)
                if found is not None:
                    return _checked(command, found)
            if not self._claim(command, now_us):
                raise RequestIdReused
            try:
                return await self._shards.settle(command)
            except settlement_log.RequestIdReused:
                raise RequestIdReused from None

    async def in_groups(
        self, commands: Sequence[tuple[Command, bool]]
    ) -> AsyncIterator[list[Settled]]:
        """Have many commands decided, those of a shard together; each group as it is done.

        With each comes whether it was deferred. What calling would have raised for a command comes
        back as its outcome.
        """
        try:
            with refusing_store_trouble():
                now_us = self._now_us()
        except Refusal as refusal:
            yield [(position, refusal) for position in range(len(commands))]
            return
        homes: dict[int, list[tuple[int, Command]]] = {}
        groups: list[Coroutine[Any, Any, list[Settled]]] = []
        for position, (command, deferred) in enumerate(commands):
            careful = self._shards.needs_care(command)
            if is_young(command.request_id, now_us) and not careful:
                shard = self._shards.home_of(command.home()).place.shard
                homes.setdefault(shard, []).append((position, command))
            else:
                groups.append(self._alone(position, command, deferred))
        groups += (self._group(shard, own, now_us) for shard, own in homes.items())
        tasks = [asyncio.create_task(group) for group in groups]
        try:
            for done in asyncio.as_completed(tasks):
                yield await done
        finally:
            for task in tasks:
                task.cancel()

    async def _group(
        self, shard: int, own: list[tuple[int, Command]], now_us: int
    ) -> list[Settled]:
        settled: dict[int, Outcome] = {position: RequestIdReused() for position, _ in own}
        claimed = {position: command for position, command in own if self._claim(command, now_us)}
        try:
            with refusing_store_trouble():
                answers = await self._shards.shard(shard).submit(tuple(claimed.values()))
        except Exception as error:
            for position, command in claimed.items():
                settled[position] = refusal_of(error, command.request_id)
        else:
            rows = zip(claimed, answers, strict=True)
            for position, row in rows:
                if isinstance(row, LogRow):
                    settled[position] = shard, row
                elif isinstance(row, SlotMoved):
                    settled |= await self._alone(position, claimed[position], deferred=False)
                elif not isinstance(row, settlement_log.RequestIdReused):
                    settled[position] = refusal_of(row, claimed[position].request_id)
        return list(settled.items())

    def _claim(self, command: Command, now_us: int) -> bool:
        account = command.home()
        homes = self._shards.routes.homes_of(account)
        return self._claims.claim(command.request_id, slot_of_home(account), homes, now_us)

    async def _alone(self, position: int, command: Command, deferred: bool) -> list[Settled]:
        try:
            return [(position, await self(command, deferred))]
        except Exception as error:
            return [(position, refusal_of(error, command.request_id))]

    async def _first_row(self, command: Command, now_us: int) -> tuple[int, LogRow]:
        found = await self._shards.first_row(command.home(), command.request_id)
        if found is None:
            raise RequestIdStale(command.request_id, now_us)
        return _checked(command, found)


def _checked(command: Command, found: tuple[int, LogRow]) -> tuple[int, LogRow]:
    if (found[1].kind, found[1].input_hash) != (command.kind, command.input_hash):
        raise RequestIdReused
    return found
