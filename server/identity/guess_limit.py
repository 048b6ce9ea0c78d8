"""How many wrong pairing codes an address may send in a minute, in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from server.identity.refusals import TooManyGuesses
from server.shards.lru import LruCache

GUESSES_A_MINUTE = 10
ADDRESSES = 4096

_MINUTE_US = 60_000_000


class GuessLimit:
    """So many wrong guesses of an address in any minute, and no more.

    It remembers the addresses that guessed last. Whoever has more of them gains nothing but that:
    a code has 96 bits beyond what finds it, and ends after five wrong tries from wherever.
    """

    def __init__(
        self,
        now_us: Callable[[], int],
        guesses: int = GUESSES_A_MINUTE,
        addresses: int = ADDRESSES,
    ) -> None:
        self._guesses, self._now_us = guesses, now_us
        self._times = LruCache[str, deque[int]](addresses)

    def require_room(self, address: str) -> None:
        """TooManyGuesses if the last minute of this address had its fill."""
        times = self._times.get(address)
        if times is not None and len(times) == self._guesses:
            age_us = self._now_us() - times[0]
            if 0 <= age_us < _MINUTE_US:
                raise TooManyGuesses

    def count(self, address: str) -> None:
        """Count a wrong guess."""
        times = self._times.get(address) or deque(maxlen=self._guesses)
        times.append(self._now_us())
        self._times.put(address, times)
