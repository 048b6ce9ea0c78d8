"""The stream of a log: a line that cannot be written is dropped and counted, and nothing raises.

A payment must not fail because a disk is full or the reader of its log has gone. `guard_stderr`
puts such a stream in the place of a process's stderr.
"""

from __future__ import annotations

import io
import json
import os
import select
import sys
import threading

_STDERR = 2

# As much as a pipe that is ready takes at once (PIPE_BUF of Linux).
_AT_ONCE = 4096

# How long a reader that is behind is waited for; once a line was dropped, not at all.
_PATIENCE_MS = 100


class LogStream(io.TextIOBase):
    """Text for a descriptor, a line at a time, in UTF-8. `dropped` counts lines that were lost."""

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._ready = select.poll()
        self._ready.register(descriptor, select.POLLOUT)
        self._lock = threading.RLock()
        self._begun = ""
        self._untold = 0
        self.dropped = 0

    def write(self, text: str) -> int:
        """Write the lines that are whole by now; the rest waits for its end, or for `flush`."""
        with self._lock:
            self._begun += text
            if "\n" in text:
                self._put_out()
        return len(text)

    def flush(self) -> None:
        """Write what has begun."""
        with self._lock:
            if self._begun:
                self._put_out()

    def writable(self) -> bool:
        """It always is."""
        return True

    def isatty(self) -> bool:
        """Whether people read along."""
        return os.isatty(self._descriptor)

    def fileno(self) -> int:
        """The descriptor."""
        return self._descriptor

    def _put_out(self) -> None:
        text, self._begun = self._begun, ""
        data = text.encode(self.encoding, self.errors)
        if self._tell_dropped() and self._write(data):
            return
        lines = max(1, text.count("\n"))
        self.dropped += lines
        self._untold += lines

    def _tell_dropped(self) -> bool:
        """Say once, when lines can be written again, how many were lost; False if they cannot."""
        if not self._untold:
            return True
        line = {"event": "log_lines_lost", "count": self._untold, "level": "warning"}
        if not self._write(f"{json.dumps(line)}\n".encode()):
            return False
        self._untold = 0
        return True

    def _write(self, data: bytes) -> bool:
        patience_ms = 0 if self._untold else _PATIENCE_MS
        try:
            while data:
                if not self._ready.poll(patience_ms):
                    return False
                data = data[os.write(self._descriptor, data[:_AT_ONCE]) :]
        except (OSError, ValueError):
            return False
        return True


def guard_stderr() -> LogStream:
    """Let nothing that this process writes to stderr raise; the stream, which stays the same.

    A process that was started without stdin, stdout or stderr gets /dev/null for it, or else the
    next file that it opens would take its place.
    """
    if not isinstance(sys.stderr, LogStream):
        for descriptor in range(_STDERR + 1):
            _fill(descriptor)
        sys.stderr = LogStream(_STDERR)
    return sys.stderr


def _fill(descriptor: int) -> None:
    try:
        os.fstat(descriptor)
    except OSError:
        os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
