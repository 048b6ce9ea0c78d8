"""How long a reader's thread may still work. Every wait in the thread asks it."""

from __future__ import annotations

import threading
import time


class Deadline:
    """A time limit that another thread can cut short."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._cut = threading.Event()

    def left(self) -> float:
        """Tell the seconds that are left; zero or less when time is up."""
        return 0.0 if self._cut.is_set() else self._end - time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Sleep, but no longer than is left."""
        self._cut.wait(max(0.0, min(seconds, self.left())))

    def cut(self) -> None:
        """End it now; for the thread that no longer needs the result."""
        self._cut.set()
