"""All shards of a switch: finds the one that a command or an account belongs to.

The way into the store for `server/switch`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from server.domain.command import Command
from server.ledger.account import Account
from server.shards.address import ShardAddress
from server.shards.placement import ShardPlace, SlotMap
from server.shards.remote_shard import RemoteShard, WriterProcess
from server.shards.settlement_log import LogRow
from server.shards.shard import (
    OnWritten,
    Outcome,
    Shard,
    WritingLane,
    nobody_listens,
    writing_lane,
)
from server.shards.store import BookedEntry, OutboxRow, Total

AnyShard = Shard | RemoteShard


class Shards:
    """The shards, and the map from slots to them."""

    def __init__(self, slots: SlotMap, shards: Sequence[AnyShard]) -> None:
        self._slots = slots
        self._shards = shards

    def __len__(self) -> int:
        return len(self._shards)

    def home_of(self, account: int) -> AnyShard:
        """Give the shard that keeps an account, if there is one.

        A number that names a shard that is not there is nobody's; the first shard says so.
        """
        shard = self._slots.shard_of(account)
        return self._shards[shard if shard < len(self._shards) else 0]

    async def submit(self, command: Command) -> LogRow:
        """Have a command decided and made durable in its home shard; its log row comes back.

        Raises RequestIdReused, StoreUnavailable, LaneFull, LaneClosed.
        """
        return await self.home_of(command.home()).submit(command)

    async def submit_all(self, commands: Sequence[Command]) -> list[LogRow | Exception]:
        """Have commands decided, those of a shard in one commit: what `submit` gives or raises."""
        homes: dict[AnyShard, list[int]] = {}
        for position, command in enumerate(commands):
            homes.setdefault(self.home_of(command.home()), []).append(position)

        async def decided(shard: AnyShard, own: list[int]) -> tuple[Outcome, ...]:
            return await shard.submit(tuple(commands[i] for i in own))

        answered = await asyncio.gather(
            *(decided(shard, own) for shard, own in homes.items()), return_exceptions=True
        )
        outcomes: dict[int, LogRow | Exception] = {}
        for own, answers in zip(homes.values(), answered, strict=True):
            if isinstance(answers, Exception):
                outcomes |= dict.fromkeys(own, answers)
            elif isinstance(answers, BaseException):
                raise answers
            else:
                outcomes |= zip(own, answers, strict=True)
        return [outcomes[position] for position in range(len(commands))]

    async def account(self, account_id: int) -> Account | None:
        """Give an account as it is committed, or None."""
        return await self.home_of(account_id).read(lambda reader: reader.account(account_id))

    async def statement(
        self, account_id: int, before: int, limit: int
    ) -> tuple[Account | None, list[BookedEntry]]:
        """Give an account and its newest entries below sequence `before` (0: all), in one read."""
        shard = self.home_of(account_id)
        return await shard.read(lambda reader: reader.statement(account_id, before, limit))

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

    async def last_sequences(self) -> list[int]:
        """Tell, for each shard, the sequence of its newest log row, or 0."""
        return await asyncio.gather(
            *(shard.read(lambda reader: reader.last_sequence()) for shard in self._shards)
        )

    async def outbox(self, shard: int, limit: int) -> list[OutboxRow]:
        """List what a shard owes to others, oldest first."""
        return await self._shards[shard].read(lambda reader: reader.outbox(limit))

    def shard(self, shard: int) -> AnyShard:
        """Give a shard by its number, from 0."""
        return self._shards[shard]

    async def totals(self) -> list[list[Total]]:
        """Add up, for each shard, the accounts by kind and currency."""
        return await asyncio.gather(
            *(shard.read(lambda reader: reader.totals()) for shard in self._shards)
        )

    def close(self) -> None:
        """Work what has queued up, then close every shard."""
        for shard in self._shards:
            shard.close()


def shard_path(folder: Path, shard: int) -> Path:
    """Name the file of a shard in the data folder, unless it was given another address."""
    return folder / "shards" / f"{shard:04d}.db"


def open_shards(
    addresses: Sequence[ShardAddress],
    slots: SlotMap,
    now_us: Callable[[], int],
    on_owed: Callable[[int], None],
    on_written: OnWritten = nobody_listens,
    processes: int = 0,
    held: Sequence[int] = (),
) -> Shards:
    """Open all shards; Complaint if one is missing, cannot be reached, or is another's.

    So many processes write the local ones, in turn; 0: a thread of this process does. `held` are
    descriptors that these keep open.
    """
    shards: list[AnyShard] = []
    local: WritingLane | None = None
    with ExitStack() as undo:
        writers = []
        for number in range(min(processes, sum(address.is_local for address in addresses))):
            writers.append(WriterProcess(f"shards-{number}", now_us, on_owed, on_written, held))
            undo.callback(writers[-1].close)
        for address in addresses:
            place = ShardPlace(address.shard, slots)
            if address.is_local and writers:
                writer = writers[address.shard % len(writers)]
                writer.open(address, slots)
                shards.append(RemoteShard(place, writer, address.open_reader()))
                continue
            store = address.open_store()
            undo.callback(store.close)
            reader = address.open_reader()
            undo.callback(reader.close)
            if address.is_local and local is None:
                local = writing_lane("shards")
                undo.callback(local.close)
            writing = local if address.is_local else None
            shards.append(Shard(place, store, reader, now_us, on_owed, writing, on_written))
        undo.pop_all()
    return Shards(slots, shards)
