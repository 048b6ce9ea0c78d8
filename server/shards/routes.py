"""Where each slot is now, where it was before, and which are on their way (row B11).

Put together from what the shards themselves say of slots that came and went. Lives on the event
loop, in `router.py`; `server/switch/rebalance.py` says when a slot is held back and when it came.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from server.shards.placement import Moved, SlotMap, shard_or_slot


def slot_of_home(account: int) -> int:
    """Tell the slot of an account; of an auxiliary, that of its payee's account."""
    return shard_or_slot(account)[1]


class Routes:
    """The shard of each slot, and what is to be known of those that moved."""

    def __init__(self, first: SlotMap) -> None:
        self._first = first
        self._homes = list(first.shard_of_slot)
        self._said: dict[int, dict[int, Moved]] = {}
        self._waiting: dict[int, asyncio.Event] = {}
        self._homes_known_to: dict[int, int] = {}

    def home_of(self, account: int) -> int:
        """Tell the shard of an account; of a slot on its way, the one that will keep it."""
        shard, slot = shard_or_slot(account)
        return self._homes[slot] if shard is None else shard

    def slot_home(self, slot: int) -> int:
        """Tell the shard of a slot; on its way, the one that will keep it."""
        return self._homes[slot]

    def homes_of(self, account: int) -> set[int]:
        """Tell in which shards' logs commands of an account may stand."""
        slot = slot_of_home(account)
        return {self.home_of(account), *self._words(slot)}

    def needs_care(self, slot: int, request_id: bytes) -> bool:
        """Tell whether a command must wait, or may have been done at a former home."""
        if slot not in self._said:
            return slot in self._waiting
        return slot in self._waiting or bool(self.former_homes(slot, request_id))

    def former_homes(self, slot: int, request_id: bytes) -> list[int]:
        """List the former homes of a slot in whose logs an id of that age may stand."""
        return [
            shard
            for shard, moved in self._words(slot).items()
            if shard != self._homes[slot] and moved.may_be_later(request_id)
        ]

    def generation(self, slot: int) -> int:
        """Count the moves of a slot that are known of."""
        return self._newest(slot).generation if slot in self._said else 0

    def generations(self) -> dict[int, int]:
        """Count, for each slot that moved and is not on its way, the moves that are known of."""
        here = (slot for slot in self._said if self.on_its_way(slot) is None)
        return {slot: self.generation(slot) for slot in here}

    def know_homes(self, generations: Mapping[int, int]) -> None:
        """Note that all shards were asked after so many moves of each slot were known of."""
        self._homes_known_to.update(generations)

    def knows_homes(self, slot: int) -> bool:
        """Tell whether every home of a slot is known, up to the newest move.

        Another switch may have moved it several times, of which each shard tells the last only.
        """
        known = self._homes_known_to.get(slot, 0)
        if self.generation(slot) == known + 1 and self.on_its_way(slot) is None:
            # One move leads to one home more, the one where it is.
            known = self._homes_known_to[slot] = known + 1
        return self.generation(slot) <= known

    def slots_of(self, shard: int) -> list[int]:
        """List the slots that a shard keeps, or will keep when they have come."""
        return [slot for slot, home in enumerate(self._homes) if home == shard]

    def map(self) -> SlotMap:
        """Give the shard of each slot as it is now."""
        return SlotMap(tuple(self._homes))

    def learn(self, shard: int, moved: Iterable[Moved]) -> None:
        """Take in what a shard says of slots that came or went."""
        for change in moved:
            said = self._said.setdefault(change.slot, {})
            said[shard] = change
            newest = self._newest(change.slot)
            self._homes[change.slot] = newest.shard
            if self.on_its_way(change.slot) is None:
                self.let_go(change.slot)
            else:
                self.hold_back(change.slot)

    def newest(self, slot: int) -> Moved | None:
        """Give the newest word on a slot; None if it never moved."""
        return self._newest(slot) if slot in self._said else None

    def on_its_way(self, slot: int) -> tuple[int, Moved] | None:
        """Tell which shard a slot left without having come to another yet, and how; else None."""
        if slot not in self._said:
            return None
        newest = self._newest(slot)
        for shard, moved in self._said[slot].items():
            if moved == newest and shard != newest.shard:
                return shard, newest
        return None

    def all_on_their_way(self) -> list[tuple[int, Moved]]:
        """List the slots that left a shard and have not come to another."""
        return [found for slot in self._said if (found := self.on_its_way(slot)) is not None]

    def unclean(self) -> list[tuple[int, Moved]]:
        """List, with the shard that they left, slots of which entries are still to be removed."""
        return [
            (shard, moved)
            for slot, said in self._said.items()
            for shard, moved in said.items()
            if not moved.is_clean and self.on_its_way(slot) is None
        ]

    def hold_back(self, slot: int) -> None:
        """Let commands of a slot wait from now on."""
        self._waiting.setdefault(slot, asyncio.Event())

    def let_go(self, slot: int) -> None:
        """Let the commands of a slot go on."""
        waiting = self._waiting.pop(slot, None)
        if waiting is not None:
            waiting.set()

    def is_held_back(self, slot: int) -> bool:
        """Tell whether commands of a slot wait."""
        return slot in self._waiting

    async def settled(self, slot: int) -> None:
        """Wait until the commands of a slot may go on."""
        while (waiting := self._waiting.get(slot)) is not None:
            await waiting.wait()

    def _words(self, slot: int) -> dict[int, Moved]:
        """What is known by shard; of the first home at least that the slot left it."""
        said = self._said.get(slot)
        return {self._first.shard_of_slot[slot]: self._newest(slot)} | said if said else {}

    def _newest(self, slot: int) -> Moved:
        # Of one move, the word of the shard to which the slot came counts more than that it left.
        said = self._said[slot].items()
        return max(said, key=lambda word: (word[1].generation, word[0] == word[1].shard))[1]
