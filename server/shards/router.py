"""All shards of a switch: finds the one that a command or an account belongs to.

The way into the store for `server/switch`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, TypeVar

from server.domain.command import Command
from server.ledger.account import Account
from server.ledger.chart import shard_named_in
from server.shards.jobs import Arrivals, Several, Sought
from server.shards.placement import Moved, SlotMap
from server.shards.relocate import SlotMoved
from server.shards.remote_shard import AnyShard
from server.shards.routes import Routes, slot_of_home
from server.shards.settlement_log import LogRow, RequestIdReused
from server.shards.store import BookedEntry, OutboxRow, Reader, StoreUnavailable, Total

Found = TypeVar("Found")

# How long a command waits at most for a slot that is being moved.
_WAIT_S = 10.0
# How often a switch looks whether another one has brought a slot to its new home.
_LOOK_S = 0.05


class Shards:
    """The shards, and the way from slots to them. `slots` says how these were spread at first."""

    def __init__(self, slots: SlotMap, shards: Sequence[AnyShard] = ()) -> None:
        self.routes = Routes(slots)
        self._shards = list(shards)

    def __len__(self) -> int:
        return len(self._shards)

    def add(self, shard: AnyShard, moved: Iterable[Moved]) -> None:
        """Take in one more shard, whose number is the next one, and what it says of slots."""
        self._shards.append(shard)
        self.routes.learn(shard.place.shard, moved)

    def home_of(self, account: int) -> AnyShard:
        """Give the shard that keeps an account, if there is one.

        A number that names a shard that is not there is nobody's; the first shard says so.
        """
        shard = self.routes.home_of(account)
        return self._shards[shard if shard < len(self._shards) else 0]

    async def submit(self, command: Command) -> LogRow:
        """Have a command decided and made durable in its home shard; its log row comes back.

        Raises RequestIdReused, StoreUnavailable, LaneFull, LaneClosed.
        """
        return (await self.settle(command))[1]

    async def settle(self, command: Command) -> tuple[int, LogRow]:
        """Have a command decided in its home shard: the number of the shard, and the log row.

        While its slot moves it waits. Raises what `submit` does.
        """
        slot = slot_of_home(command.home())
        if not self.routes.needs_care(slot, command.request_id):
            with suppress(SlotMoved):
                return await self._submit(command)
            await self.look_for(slot)
        with self._not_for_ever(slot):
            async with asyncio.timeout(_WAIT_S):
                return await self._settle_moved(command, slot)

    async def submit_all(self, commands: Sequence[Command]) -> list[LogRow | Exception]:
        """Have commands decided, those of a shard in one commit: what `submit` gives or raises."""
        return await self._together(commands, tuple)

    async def bring(self, arrivals: Sequence[Command]) -> list[LogRow | Exception | None]:
        """Have arrivals booked as `submit_all` does; None, or its row, for each that is."""
        return await self._together(arrivals, Arrivals)

    def needs_care(self, command: Command) -> bool:
        """Tell whether a command is to be settled by itself, because its slot moves or moved."""
        return self.routes.needs_care(slot_of_home(command.home()), command.request_id)

    async def first_row(self, account: int, request_id: bytes) -> tuple[int, LogRow] | None:
        """Find a request of an account in all logs in which it may stand: shard and row.

        At last in those of all shards: another switch may have moved its slot.
        """
        former = self.routes.former_homes(slot_of_home(account), request_id)
        for shard in (self.home_of(account), *(self._known(number) for number in former)):
            row = await shard.read(lambda reader: reader.row(request_id))
            if row is not None:
                return shard.place.shard, row
        return await self.find(request_id)

    async def account(self, account_id: int) -> Account | None:
        """Give an account as it is committed, or None."""
        return await self.look(account_id, lambda reader: reader.account(account_id), bool)

    async def statement(
        self, account_id: int, before: int, limit: int
    ) -> tuple[Account | None, list[BookedEntry]]:
        """Give an account and its newest entries below sequence `before` (0: all), in one read."""
        return await self.look(
            account_id,
            lambda reader: reader.statement(account_id, before, limit),
            lambda found: found[0] is not None,
        )

    async def look(
        self,
        account: int,
        look: Callable[[Reader], Found],
        is_found: Callable[[Found], bool],
    ) -> Found:
        """Look at an account in its home shard; if it is not found its slot may have gone."""
        shard = self.home_of(account)
        found = await shard.read(look)
        if is_found(found) or shard_named_in(account) is not None:
            return found
        slot = slot_of_home(account)
        with self._not_for_ever(slot):
            async with asyncio.timeout(_WAIT_S):
                await self.look_for(slot)
                await self._settled(slot)
        if self.home_of(account) is shard:
            return found
        return await self.look(account, look, is_found)

    async def look_for(self, slot: int) -> None:
        """Ask where a slot went, shard after shard, when it is not where it was thought to be.

        StoreUnavailable if it went to a shard that this switch does not know.
        """
        asked = -1
        while asked != self.routes.slot_home(slot):
            asked = self.routes.slot_home(slot)
            moved = await self._known(asked).read(lambda reader: reader.moved())
            self.routes.learn(asked, moved)

    async def learn(self) -> None:
        """Ask all shards which slots came and went; StoreUnavailable if one does not say."""
        known = self.routes.generations()
        trouble: BaseException | None = None
        asked = (shard.read(lambda reader: reader.moved()) for shard in self._shards)
        for number, moved in enumerate(await asyncio.gather(*asked, return_exceptions=True)):
            if not isinstance(moved, BaseException):
                self.routes.learn(number, moved)
            else:
                trouble = moved
        if trouble is not None:
            raise trouble
        # Of later moves than were known of before, some may have been missed.
        self.routes.know_homes(known)

    async def find(self, request_id: bytes) -> tuple[int, LogRow] | None:
        """Find a request in the logs of all shards: shard and row, or None."""
        rows = await asyncio.gather(
            *(shard.read(lambda reader: reader.row(request_id)) for shard in self._shards)
        )
        found = [(shard, row) for shard, row in enumerate(rows) if row is not None]
        return found[0] if found else None

    async def recent_request_ids(self, since_us: int) -> list[list[bytes]]:
        """List, for each shard, the request ids booked since a time."""
        return await asyncio.gather(
            *(shard.read(lambda reader: reader.recent_request_ids(since_us))
              for shard in self._shards)
        )  # fmt: skip

    async def outbox(self, shard: int, limit: int) -> list[OutboxRow]:
        """List what a shard owes to others, oldest first."""
        return await self._shards[shard].read(lambda reader: reader.outbox(limit))

    def shard(self, shard: int) -> AnyShard:
        """Give a shard by its number, from 0."""
        return self._shards[shard]

    async def last_sequences(self) -> list[int]:
        """Tell, for each shard, the sequence of its newest log row, or 0."""
        return await asyncio.gather(
            *(shard.read(lambda reader: reader.last_sequence()) for shard in self._shards)
        )

    async def last_book_times(self) -> list[int]:
        """The booking time of each shard's newest row, microseconds since 1970, or 0."""
        return await asyncio.gather(
            *(shard.read(lambda reader: reader.last_book_us()) for shard in self._shards)
        )

    async def totals(self) -> list[list[Total]]:
        """Add up, for each shard, the accounts by kind and currency."""
        return await asyncio.gather(
            *(shard.read(lambda reader: reader.totals()) for shard in self._shards)
        )

    def close(self) -> None:
        """Work what has queued up, then close every shard, whatever fails in another."""
        with ExitStack() as steps:  # from the last to the first
            for shard in self._shards:
                steps.callback(shard.close)
            for shard in self._shards:
                steps.callback(shard.drain)

    async def _together(
        self, commands: Sequence[Command], job: Callable[[Iterable[Command]], Several]
    ) -> list[Any]:
        outcomes: dict[int, Any] = {}
        homes: dict[AnyShard, list[int]] = {}
        alone: list[int] = []
        for position, command in enumerate(commands):
            careful, home = self.needs_care(command), self.home_of(command.home())
            (alone if careful else homes.setdefault(home, [])).append(position)

        async def decide(shard: AnyShard, own: list[int]) -> None:
            try:
                decided: Sequence[Any] = await shard.submit(job(commands[i] for i in own))
            except Exception as error:
                decided = [error] * len(own)
            outcomes.update(zip(own, decided, strict=True))

        await asyncio.gather(*(decide(shard, own) for shard, own in homes.items()))
        alone += (i for i, outcome in outcomes.items() if isinstance(outcome, SlotMoved))
        settled = await asyncio.gather(*(self._alone(commands[i]) for i in alone))
        outcomes.update(zip(alone, settled, strict=True))
        return [outcomes[position] for position in range(len(commands))]

    async def _alone(self, command: Command) -> LogRow | Exception:
        try:
            return await self.submit(command)
        except Exception as error:
            return error

    async def _submit(self, command: Command, sought: Sought | None = None) -> tuple[int, LogRow]:
        shard = self.home_of(command.home())
        return shard.place.shard, await shard.submit(sought or command)

    async def _settle_moved(self, command: Command, slot: int) -> tuple[int, LogRow]:
        while True:
            await self._settled(slot)
            if not self.routes.knows_homes(slot):
                await self.learn()
                continue
            generation = self.routes.generation(slot)
            for number in self.routes.former_homes(slot, command.request_id):
                row = await self._known(number).read(lambda reader: reader.row(command.request_id))
                if row is not None:
                    if (row.kind, row.input_hash) != (command.kind, command.input_hash):
                        raise RequestIdReused
                    return number, row
            if self.routes.generation(slot) != generation:
                continue  # it moved meanwhile: what was its home is a former one now
            with suppress(SlotMoved):
                return await self._submit(command, Sought(command, generation))
            await self.look_for(slot)

    async def _settled(self, slot: int) -> None:
        # Another switch may move it; then nobody here says when it has come.
        while self.routes.is_held_back(slot):
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await self.routes.settled(slot)
                    return
            await self.look_for(slot)

    def _known(self, number: int) -> AnyShard:
        if number >= len(self._shards):
            what = "give it the books.json of the switch that added it, and start it again"
            raise StoreUnavailable(f"this switch does not know shard {number}: {what}")
        return self._shards[number]

    @contextmanager
    def _not_for_ever(self, slot: int) -> Iterator[None]:
        try:
            yield
        except TimeoutError:
            raise StoreUnavailable(f"slot {slot} is being moved to another shard") from None
