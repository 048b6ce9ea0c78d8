"""A serial line that ends in a simulator: a pty behind a link with a stable path.

The driver opens the path as it would open /dev/ttyUSB0 and runs its real code. Unplugging takes the
link away and hangs the line up; plugging in again makes a new pty at the same path. Bytes that come
before the driver has opened the line are lost, as on a real one, so writing waits for it.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
import tty
from collections.abc import Callable
from pathlib import Path

_POLL_MS = 50
_CHUNK = 4096
# A driver flushes its input while it opens the line; bytes before that are lost.
_SETTLE_S = 0.05


class NobodyListens(Exception):
    """No driver opened the line in time."""


class PtyLine:
    """The simulator's end of a line; `on_bytes` gets what the driver writes, on a thread of it."""

    def __init__(self, path: Path, on_bytes: Callable[[bytes], None]) -> None:
        self.path = path
        self._on_bytes = on_bytes
        self._master = -1
        self._thread: threading.Thread | None = None
        self._unplugged = threading.Event()
        self._is_settled = False

    @property
    def is_plugged(self) -> bool:
        """Tell whether the device is there."""
        return self._thread is not None

    @property
    def has_driver(self) -> bool:
        """Tell whether somebody has the line open."""
        return self._has_driver()

    def plug(self) -> None:
        """Make the pty and the link to it; does nothing if it is plugged in."""
        if self._thread is not None:
            return
        self._master, slave = os.openpty()
        tty.setraw(slave)
        name = os.ttyname(slave)
        os.close(slave)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(name)
        temporary.replace(self.path)
        self._unplugged.clear()
        self._is_settled = False
        self._thread = threading.Thread(target=self._read, name=self.path.name, daemon=True)
        self._thread.start()

    def unplug(self) -> None:
        """Take the device away; the driver sees its line hang up."""
        if self._thread is None:
            return
        self.path.unlink(missing_ok=True)
        self._unplugged.set()
        if self._thread is not threading.current_thread():
            self._thread.join()
        self._thread = None
        os.close(self._master)

    def wait_for_driver(self, timeout_s: float) -> None:
        """Wait until a driver has the line open; NobodyListens after the time-out."""
        deadline = time.monotonic() + timeout_s
        while not self._has_driver():
            if time.monotonic() > deadline:
                raise NobodyListens(f"nobody opened {self.path} within {timeout_s:g} s")
            time.sleep(0.01)
        if not self._is_settled:
            time.sleep(_SETTLE_S)
            self._is_settled = True

    def write(self, data: bytes) -> None:
        """Send bytes to the driver; lost if it has gone."""
        with contextlib.suppress(OSError):
            os.write(self._master, data)

    def _has_driver(self) -> bool:
        if self._thread is None:
            return False
        return not any(event & select.POLLHUP for _, event in self._poll(0))

    def _poll(self, timeout_ms: int) -> list[tuple[int, int]]:
        poll = select.poll()
        poll.register(self._master, select.POLLIN)
        return poll.poll(timeout_ms)

    def _read(self) -> None:
        while not self._unplugged.is_set():
            for _, event in self._poll(_POLL_MS):
                if event & select.POLLIN:
                    self._take()
                else:  # nobody has the line open
                    self._is_settled = False
                    self._unplugged.wait(_POLL_MS / 1000)

    def _take(self) -> None:
        with contextlib.suppress(OSError):
            self._on_bytes(os.read(self._master, _CHUNK))
