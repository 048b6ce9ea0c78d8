"""The clock watch: whether this machine's clock goes as time goes by.

Each reading compares the wall clock with one that only counts and cannot be set. A difference that
grows slowly is the clock being slewed, and is followed. A step beyond the limit is either a clock
that was put right or one that went wrong, and only a person knows which: so nothing is booked until
the clock is back by itself, or an operator has confirmed it. Else one wrong step would release
holds, and let every payment expire. Whatever else needs the time, such as certificates and the deny
list, goes on by the time that went by.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

import structlog

from server.shards.store import StoreUnavailable

STEP_LIMIT_S = 60

# A clock is slewed by at most a tenth of the time that goes by; chrony's own limit is a twelfth.
_SLEW_PART = 10

log = structlog.get_logger("clock")


class ClockJumped(StoreUnavailable):
    """Nothing is booked, because the wall clock jumped; the message is for people."""


class ClockWatch:
    """The switch's time, from any thread.

    `now_us` is the wall clock, microseconds since 1970; `elapsed_us` counts microseconds since any
    moment, goes on while the machine sleeps, and is never set.
    """

    def __init__(
        self,
        now_us: Callable[[], int],
        elapsed_us: Callable[[], int],
        limit_us: int = STEP_LIMIT_S * 1_000_000,
    ) -> None:
        self._now_us, self._elapsed_us = now_us, elapsed_us
        self.limit_us = limit_us
        self._lock = threading.Lock()
        self._offset_us, self._seen_us = now_us() - elapsed_us(), elapsed_us()
        self._jump_us = 0

    def booking_us(self) -> int:
        """The wall clock; ClockJumped while nothing is booked by it."""
        now_us, jump_us = self.look()
        if jump_us:
            raise ClockJumped(f"{told(jump_us)}; nothing is booked until an operator confirms it")
        return now_us

    def steady_us(self) -> int:
        """The wall clock; while it is off by a jump, what it would show without."""
        now_us, jump_us = self.look()
        return now_us - jump_us

    def look(self) -> tuple[int, int]:
        """The wall clock, and by how much it jumped: 0 if it goes as it should."""
        with self._lock:
            before_us = self._jump_us
            now_us = self._read()
            jump_us = self._jump_us
        if jump_us and not before_us:
            log.error(
                f"{told(jump_us)}: nothing is booked until it is right again, or an operator "
                "confirms it. Look at the clock, then: kessai clock confirm"
            )
        elif before_us and not jump_us:
            log.warning("the clock is right again, and booking goes on")
        return now_us, jump_us

    def confirm(self, shown_us: int) -> bool:
        """Book by the clock as it is now; False if it does not show what somebody was shown."""
        with self._lock:
            now_us = self._read()
            if abs(now_us - shown_us) > self.limit_us:
                return False
            jump_us = self._jump_us
            if jump_us:
                self._offset_us, self._jump_us = now_us - self._elapsed_us(), 0
        if jump_us:
            log.warning("an operator confirmed the clock, and booking goes on", jump_us=jump_us)
        return True

    def _read(self) -> int:
        now_us, elapsed_us = self._now_us(), self._elapsed_us()
        step_us = now_us - elapsed_us - self._offset_us
        if abs(step_us) > self.limit_us:
            # Once more: this process may have been stopped between the two clocks.
            now_us, elapsed_us = self._now_us(), self._elapsed_us()
            step_us = now_us - elapsed_us - self._offset_us
        if abs(step_us) > self.limit_us:
            self._jump_us = step_us
        else:
            self._jump_us = 0
            most_us = max(0, elapsed_us - self._seen_us) // _SLEW_PART
            self._offset_us += max(-most_us, min(step_us, most_us))
        self._seen_us = elapsed_us
        return now_us


def told(jump_us: int) -> str:
    """A jump in words: "the switch's clock jumped ahead by 3:00:00"."""
    return f"the switch's clock jumped {'ahead' if jump_us > 0 else 'back'} by {span(jump_us)}"


def span(microseconds: int) -> str:
    """A span of time as hours, minutes and seconds, without its sign."""
    return str(timedelta(seconds=round(abs(microseconds) / 1_000_000)))
