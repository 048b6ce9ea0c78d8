"""Copying the entries of a slot's accounts to the shard that will keep it, while payments go on.

An entry never changes, so what is copied stays right, and the same may be copied again after a
crash. Used by `slot_move.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from server.shards.entry_digest import Digests, add_entry
from server.shards.relocate import Copied
from server.shards.remote_shard import AnyShard
from server.shards.store import BookedEntry, StoreUnavailable

_AT_ONCE = 1000


@dataclass(slots=True)
class SlotCopy:
    """How far the copying of a slot has come, account by account, and the digests up to there.

    For its `generation`-th move. `on_copied` is told how many entries were written.
    """

    source: AnyShard
    target: AnyShard
    slot: int
    generation: int
    on_copied: Callable[[int], None]
    digests: dict[int, Digests] = field(default_factory=dict)
    _copied_to: dict[int, int] = field(default_factory=dict)
    _there_to: dict[int, int] = field(default_factory=dict)
    _waiting: list[BookedEntry] = field(default_factory=list)

    async def copy(self, accounts: Iterable[tuple[int, int]]) -> int:
        """Copy what is missing, durably; how much it was. `accounts` and the sequences to copy to.

        StoreUnavailable, LaneFull or LaneClosed if a shard cannot; begin anew with another copy.
        """
        count = 0
        for account, last in accounts:
            while (first := self._copied_to.get(account, 0) + 1) <= last:
                page = await self._page(account, first, min(last, first + _AT_ONCE - 1))
                if not page:
                    raise StoreUnavailable(f"slot {self.slot} is moved by another switch, too")
                for entry in page:
                    add_entry(self.digests, entry)
                self._copied_to[account] = page[-1].sequence
                there = await self._there(account)
                self._waiting += (entry for entry in page if entry.sequence > there)
                count += len(page)
                if len(self._waiting) >= _AT_ONCE:
                    await self._write()
        await self._write()
        return count

    async def _page(self, account: int, first: int, last: int) -> list[BookedEntry]:
        _, newest_first = await self.source.read(
            lambda reader: reader.statement(account, last + 1, last - first + 1)
        )
        return newest_first[::-1]

    async def _there(self, account: int) -> int:
        # What was copied before a crash is there, without gaps from the first entry on.
        if account not in self._there_to:
            _, newest = await self.target.read(lambda reader: reader.statement(account, 0, 1))
            self._there_to[account] = newest[0].sequence if newest else 0
        return self._there_to[account]

    async def _write(self) -> None:
        if self._waiting:
            entries, self._waiting = tuple(self._waiting), []
            await self.target.submit(Copied(entries, self.slot, self.generation))
            self.on_copied(len(entries))
