"""Where an account is kept: account -> slot (computed) -> shard (a small map of slot ranges).

Row B11. The map has at most 1024 entries, however many accounts there are. It says how the slots
were spread at first; what moved since, each shard itself says, in the same commits that moved it,
so there is no second copy that could differ. Used by `router.py`, `shard.py` and `replay.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from kessai.account_number import SLOT_COUNT, slot_of
from kessai.request_id import time_of
from server.ledger.chart import main_account, shard_named_in

# Ids are made by the clocks of devices, which may be ahead of ours by half of this.
_CLOCKS_DIFFER_US = 60_000_000


@dataclass(frozen=True, slots=True)
class SlotMap:
    """The shard of each slot: 1024 shard numbers."""

    shard_of_slot: tuple[int, ...]

    @classmethod
    def even(cls, shards: int) -> SlotMap:
        """Spread all slots evenly over `shards` shards, in ranges."""
        return cls(tuple(slot * shards // SLOT_COUNT for slot in range(SLOT_COUNT)))

    def evened(self, shards: int) -> SlotMap:
        """Spread the slots evenly over `shards` shards, and move as few as can be for that."""
        quota = [SLOT_COUNT // shards + (n < SLOT_COUNT % shards) for n in range(shards)]
        kept = list(self.shard_of_slot)
        spare = [quota[n] - kept.count(n) for n in range(shards)]
        for slot in reversed(range(SLOT_COUNT)):
            if spare[kept[slot]] < 0:
                taker = next(n for n in range(shards) if spare[n] > 0)
                spare[kept[slot]] += 1
                spare[taker] -= 1
                kept[slot] = taker
        return SlotMap(tuple(kept))

    def with_range(self, first: int, last: int, shard: int) -> SlotMap:
        """Give a range of slots to a shard."""
        kept = self.shard_of_slot
        return SlotMap((*kept[:first], *(shard,) * (last - first + 1), *kept[last + 1 :]))

    def to_ranges(self) -> list[list[int]]:
        """Write the map as ranges: [[first slot, last slot, shard], ...]."""
        ranges: list[list[int]] = []
        for slot, shard in enumerate(self.shard_of_slot):
            if ranges and ranges[-1][2] == shard:
                ranges[-1][1] = slot
            else:
                ranges.append([slot, slot, shard])
        return ranges

    @classmethod
    def from_ranges(cls, ranges: Sequence[Sequence[int]]) -> SlotMap:
        """Read ranges; ValueError if they do not cover every slot once."""
        shards: list[int] = []
        for first, last, shard in ranges:
            if first != len(shards) or not first <= last < SLOT_COUNT:
                raise ValueError("the slot ranges have gaps or overlap")
            shards += [shard] * (last - first + 1)
        if len(shards) != SLOT_COUNT:
            raise ValueError(f"the slot ranges cover {len(shards)} of {SLOT_COUNT} slots")
        return cls(tuple(shards))


class Moved(NamedTuple):
    """The newest thing that a shard knows of a slot that came to it, or went away.

    `shard` keeps the slot since its `generation`-th move, whose request id is `move_id`; `book_us`
    is when this shard booked it, microseconds since 1970. `is_clean` is 0 while entries of a slot
    that went are still to be removed.
    """

    slot: int
    shard: int
    generation: int
    move_id: bytes
    book_us: int
    is_clean: int

    def may_be_later(self, request_id: bytes) -> bool:
        """Tell whether a request may be older than this move, by the clock of any device."""
        return time_of(request_id) * 1000 <= self.book_us + _CLOCKS_DIFFER_US


class ShardPlace:
    """One shard among others, as commands see it. `slots` is how the slots were spread at first."""

    def __init__(self, shard: int, slots: SlotMap) -> None:
        self.shard = shard
        self.slots = slots
        self.moved: dict[int, Moved] = {}
        self._kept = [owner == shard for owner in slots.shard_of_slot]

    def know(self, moved: Iterable[Moved]) -> None:
        """Learn which slots came and went."""
        for change in moved:
            self.moved[change.slot] = change
            self._kept[change.slot] = change.shard == self.shard

    def is_here(self, account: int) -> bool:
        """Tell whether this shard keeps an account."""
        shard, slot = shard_or_slot(account)
        return self._kept[slot] if shard is None else shard == self.shard

    def may_be_elsewhere(self, account: int, request_id: bytes, sought_to: int) -> bool:
        """Tell whether a request that is not in this log is another shard's, or in another's log.

        Because the slot of its account has left; or because it came, after the request was made,
        by a later move than the `sought_to`-th, up to which the former homes were asked for it.
        Never of the house's accounts.
        """
        if not self.moved:
            return False
        shard, slot = shard_or_slot(account)
        if shard is not None:
            return False
        came = self.moved.get(slot)
        if not self._kept[slot]:
            return True
        return came is not None and came.generation > sought_to and came.may_be_later(request_id)

    def keeps(self, slot: int) -> bool:
        """Tell whether a slot is here."""
        return self._kept[slot]

    def next_generation(self, slot: int) -> int:
        """Count the next move of a slot that is here, from 1."""
        moved = self.moved.get(slot)
        return moved.generation + 1 if moved else 1


# A payment asks for its two accounts again and again, within milliseconds.
@lru_cache(maxsize=16_384)
def shard_or_slot(account: int) -> tuple[int | None, int]:
    """Tell the shard that an account's id names, or None, and the slot that it lies in."""
    return shard_named_in(account), slot_of(main_account(account))
