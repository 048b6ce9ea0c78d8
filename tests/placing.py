"""Where accounts lie by a map of slots alone, as long as none has moved."""

from __future__ import annotations

from server.shards.placement import SlotMap, shard_or_slot


def shard_of(slots: SlotMap, account: int) -> int:
    """Tell which shard keeps an account; an auxiliary's and the house's never move."""
    shard, slot = shard_or_slot(account)
    return slots.shard_of_slot[slot] if shard is None else shard
