"""Opening shards, and laying out who writes them: threads of this process, or others.

Used by `router.py`, and by `server/switch/more_shards.py` when one is added.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack

import structlog

from server.shards.address import ShardAddress
from server.shards.groups import WritingLane, writing_lane
from server.shards.placement import Moved, ShardPlace, SlotMap
from server.shards.remote_shard import AnyShard, RemoteShard, WriterProcess
from server.shards.router import Shards
from server.shards.shard import OnWritten, Shard, nobody_listens

log = structlog.get_logger("shards")


class ShardOpener:
    """Opens shards of the same books; those on disks of this machine share a writing lane.

    `slots` is how slots were spread at first; the other arguments are as for `Shard`.
    """

    def __init__(
        self,
        slots: SlotMap,
        now_us: Callable[[], int],
        on_owed: Callable[[int], None],
        on_written: OnWritten = nobody_listens,
    ) -> None:
        self.slots = slots
        self._now_us = now_us
        self._on_owed, self._on_written = on_owed, on_written
        self._local: WritingLane | None = None
        self._processes: list[WriterProcess] = []
        self._warnings: set[str] = set()

    def start_processes(self, count: int, held: Sequence[int]) -> None:
        """Let so many processes write the local shards that are opened from now on, in turn.

        `held` are descriptors that these keep open.
        """
        for number in range(count):
            writing = WriterProcess(
                f"shards-{number}", self._now_us, self._on_owed, self._on_written, held
            )
            self._processes.append(writing)

    def open(self, address: ShardAddress) -> tuple[AnyShard, list[Moved]]:
        """Open a shard, and tell which slots came to it and went.

        Complaint if it is missing, cannot be reached, or is another's.
        """
        place = ShardPlace(address.shard, self.slots)
        self._warn(address.prepare())
        if address.is_local and self._processes:
            writing = self._processes[address.shard % len(self._processes)]
            writing.open(address, self.slots)
            reader = address.open_reader()
            return RemoteShard(place, writing, reader), reader.moved()
        with ExitStack() as undo:
            store = address.open_store()
            undo.callback(store.close)
            reader = address.open_reader()
            undo.callback(reader.close)
            moved = reader.moved()
            lane = self._local_lane() if address.is_local else None
            shard = Shard(place, store, reader, self._now_us, self._on_owed, lane, self._on_written)
            undo.pop_all()
        return shard, moved

    def close(self) -> None:
        """End what was started, if no shard was opened that would."""
        for writing in self._processes:
            writing.close()
        if self._local is not None:
            self._local.close()

    def _warn(self, warning: str) -> None:
        # Several shards may lie on one server: it is told of once.
        if warning and warning not in self._warnings:
            self._warnings.add(warning)
            log.warning(warning)

    def _local_lane(self) -> WritingLane:
        if self._local is None:
            self._local = writing_lane("shards")
        return self._local


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
    opener = ShardOpener(slots, now_us, on_owed, on_written)
    return open_with(opener, addresses, processes, held)


def open_with(
    opener: ShardOpener,
    addresses: Sequence[ShardAddress],
    processes: int = 0,
    held: Sequence[int] = (),
) -> Shards:
    """Open all shards as `open_shards` does, with an opener that may open further ones."""
    shards = Shards(opener.slots)
    with ExitStack() as undo:
        undo.callback(opener.close)
        undo.callback(shards.close)
        local = sum(address.is_local for address in addresses)
        opener.start_processes(min(processes, local), held)
        for address in addresses:
            shards.add(*opener.open(address))
        undo.pop_all()
    return shards
