"""Claims: which slot each recent request id went to, so that one id never works on two shards.

A shard's log refuses a request id that it has seen with other content, for ever. What it cannot see
is the same id with another payer, whose account another shard keeps. So a *new* request is taken
only while its id is young (a UUIDv7 tells its time), and for as long as it could be new again its
payer's slot is remembered here, whichever shard it moves to meanwhile: a bounded memory, filled
again from the logs at start, which tell the shard in place of the slot. Used by `settle.py`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Iterable

from kessai.account_number import SLOT_COUNT
from kessai.request_id import time_of

AGE_LIMIT_US = 150_000_000
CLOCK_TOLERANCE_US = 30_000_000
MEMORY_US = AGE_LIMIT_US + CLOCK_TOLERANCE_US

_GENERATION_US = MEMORY_US // 3


class Claims:
    """The slot of each request id that was seen in the last three to four minutes."""

    def __init__(self, now_us: int) -> None:
        self._generations: deque[dict[bytes, int]] = deque([{}], maxlen=4)
        self._begin_us = now_us

    def restore(self, ids_by_shard: Iterable[Iterable[bytes]]) -> None:
        """Remember what the logs say about the time before the start."""
        for shard, request_ids in enumerate(ids_by_shard):
            self._generations[-1].update(dict.fromkeys(request_ids, SLOT_COUNT + shard))

    def claim(self, request_id: bytes, slot: int, homes: Container[int], now_us: int) -> bool:
        """Claim an id for a slot; False if another has it, or a shard that is none of its `homes`.

        `homes` are the shards that keep the slot or once kept it: their logs tell the rest.
        """
        self._turn(now_us)
        for generation in self._generations:
            claimed = generation.get(request_id)
            if claimed is not None:
                return claimed == slot or claimed - SLOT_COUNT in homes
        self._generations[-1][request_id] = slot
        return True

    def _turn(self, now_us: int) -> None:
        if now_us < self._begin_us:  # the clock went back; else nothing were forgotten for as long
            self._begin_us = now_us
        if now_us - self._begin_us >= _GENERATION_US:
            self._begin_us = now_us
            self._generations.append({})


def is_young(request_id: bytes, now_us: int) -> bool:
    """Tell whether a request with this id may be new: neither too old nor from the future."""
    age_us = now_us - time_of(request_id) * 1000
    return -CLOCK_TOLERANCE_US <= age_us <= AGE_LIMIT_US
