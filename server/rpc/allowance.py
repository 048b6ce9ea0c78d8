"""What one device may ask of the switch: a rate of calls, a rate of work, and how much at once.

Rates are token buckets: what was not used is saved up, so that a till that comes back with a queue
is quick at first. Times are seconds of a clock that never goes back.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import NamedTuple

# What may be saved up, in seconds of the rate.
SAVED_S = 4.0
# Requests of a device that are read at the same time. What waits is not sent but for the first
# 64 KiB of each, so a hundred large ones come one after another and leave room between.
READ_AT_ONCE = 4


class Rates(NamedTuple):
    """A second, for each device: calls, and payments within streams."""

    calls: float
    payments: float


class Bucket:
    """A token bucket; it may owe, when what was taken was known only afterwards."""

    def __init__(self, rate: float, now_s: float) -> None:
        self._rate, self._most = rate, max(1.0, rate * SAVED_S)
        self._tokens, self._at_s = self._most, now_s

    def take(self, now_s: float) -> bool:
        """Take one if there is one."""
        if self.left(now_s) < 1:
            return False
        self._tokens -= 1
        return True

    def owe(self, count: int) -> None:
        """Take so many, whether they are there or not."""
        self._tokens -= count

    def seconds_until_one(self, now_s: float) -> float:
        """How long until there is one."""
        return max(0.0, (1 - self.left(now_s)) / self._rate)

    def left(self, now_s: float) -> float:
        """How many there are; below zero, how many are owed."""
        self._tokens = min(self._most, self._tokens + (now_s - self._at_s) * self._rate)
        self._at_s = now_s
        return self._tokens

    def is_full(self, now_s: float) -> bool:
        """Whether nothing of it is in use."""
        return self.left(now_s) >= self._most


@dataclass(slots=True)
class Allowance:
    """What a device has left, what it has under way, and how often it was refused lately."""

    calls: Bucket
    payments: Bucket
    refusals: Bucket
    reading: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(READ_AT_ONCE))
    calls_now: int = 0
    streams_now: int = 0
    refused: int = 0
    told_s: float = field(default=float("-inf"))

    @classmethod
    def of(cls, rates: Rates, now_s: float) -> Allowance:
        """A device's first."""
        calls, payments = Bucket(rates.calls, now_s), Bucket(rates.payments, now_s)
        return cls(calls, payments, refusals=Bucket(rates.calls, now_s))

    def is_idle(self, now_s: float) -> bool:
        """Whether forgetting it changes nothing."""
        buckets = (self.calls, self.payments, self.refusals)
        busy = self.calls_now or self.streams_now or self.refused
        return not busy and all(bucket.is_full(now_s) for bucket in buckets)
