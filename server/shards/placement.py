"""Where an account is kept: account -> slot (computed) -> shard (a small map of slot ranges).

Row B11. The map has at most 1024 entries, however many accounts there are. Used by `router.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from kessai.account_number import SLOT_COUNT, slot_of
from server.ledger.chart import main_account, shard_named_in


@dataclass(frozen=True, slots=True)
class SlotMap:
    """The shard of each slot: 1024 shard numbers."""

    shard_of_slot: tuple[int, ...]

    @classmethod
    def even(cls, shards: int) -> SlotMap:
        """Spread all slots evenly over `shards` shards, in ranges."""
        return cls(tuple(slot * shards // SLOT_COUNT for slot in range(SLOT_COUNT)))

    def shard_of(self, account: int) -> int:
        """Tell which shard keeps an account; an auxiliary's and the house's never move."""
        shard, slot = _shard_or_slot(account)
        return self.shard_of_slot[slot] if shard is None else shard

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
            if first != len(shards) or last < first:
                raise ValueError("the slot ranges have gaps or overlap")
            shards += [shard] * (last - first + 1)
        if len(shards) != SLOT_COUNT:
            raise ValueError(f"the slot ranges cover {len(shards)} of {SLOT_COUNT} slots")
        return cls(tuple(shards))


@dataclass(frozen=True, slots=True)
class ShardPlace:
    """One shard among others, as commands see it."""

    shard: int
    slots: SlotMap

    def is_here(self, account: int) -> bool:
        """Tell whether this shard keeps an account."""
        return self.slots.shard_of(account) == self.shard


# A payment asks for its two accounts again and again, within milliseconds.
@lru_cache(maxsize=16_384)
def _shard_or_slot(account: int) -> tuple[int | None, int]:
    return shard_named_in(account), slot_of(main_account(account))
