"""A `kessai` command that tells its steps as JSON lines, followed as a process (`--events`)."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

from tests.running import KESSAI
from tests.warm import WarmProcess

PIN = "4711"
STEP_LIMIT_S = 60.0
END_LIMIT_S = 60.0

Step = dict[str, Any]


class Followed:
    """A running command. `next` reads its steps in order, each at most once."""

    def __init__(
        self, words: list[str], log: Path, key: str, says: str = PIN, *, cold: bool = False
    ) -> None:
        """Start it; `key` is the field of a line that names the step, errors go to `log`.

        `says` is piped in. `cold`: with nothing loaded before, as on a till (`tests/warm.py`).
        """
        self._key, self._log = key, log
        self._steps: list[Step] = []
        self._seen = 0
        self._told = threading.Condition()
        with open(log, "ab") as errors:
            process_class = subprocess.Popen if cold else WarmProcess
            self._process = process_class(
                [KESSAI, *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError), self._process.stdin as pipe:
            pipe.write(says)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """Give its process id."""
        return self._process.pid

    @property
    def told(self) -> list[Step]:
        """Give all steps so far."""
        with self._told:
            return list(self._steps)

    @property
    def names(self) -> list[str]:
        """Name all steps so far."""
        with self._told:
            return [step[self._key] for step in self._steps]

    @property
    def is_running(self) -> bool:
        """Tell whether it is still there."""
        return self._process.poll() is None

    def next(self, *names: str, timeout_s: float = STEP_LIMIT_S) -> Step:
        """Wait for the next step of one of these names, and pass over those before it."""
        deadline = time.monotonic() + timeout_s
        with self._told:
            while True:
                while self._seen < len(self._steps):
                    step = self._steps[self._seen]
                    self._seen += 1
                    if step[self._key] in names:
                        return step
                left = deadline - time.monotonic()
                if left <= 0 or not self._reader.is_alive():
                    told = [step[self._key] for step in self._steps]
                    raise AssertionError(f"no {' or '.join(names)} in {told}: {self._errors()}")
                self._told.wait(min(left, 0.1))

    def skip(self) -> None:
        """Pass over all steps so far."""
        with self._told:
            self._seen = len(self._steps)

    def latest(self, name: str, since: str, timeout_s: float = STEP_LIMIT_S) -> Step:
        """Wait for a step that came after the last one named `since`, if that came at all.

        The newest of them comes back; `next` is not moved on by it.
        """
        deadline = time.monotonic() + timeout_s
        with self._told:
            while True:
                for step in reversed(self._steps):
                    if step[self._key] == name:
                        return step
                    if step[self._key] == since:
                        break
                left = deadline - time.monotonic()
                assert left > 0, f"no {name} after {since}: {self._errors()}"
                self._told.wait(min(left, 0.1))

    def end(self, timeout_s: float = END_LIMIT_S) -> int:
        """Wait for its end; the exit code comes back."""
        code = self._process.wait(timeout_s)
        self._reader.join(timeout_s)
        return code

    def stop(self) -> int:
        """Ask it to end, as an operator does; the exit code comes back."""
        self._process.send_signal(signal.SIGTERM)
        return self.end()

    def kill(self) -> None:
        """End it with SIGKILL; nothing if it has ended."""
        self._process.kill()
        self.end()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                if not line.endswith("\n"):
                    return  # cut off by SIGKILL
                with self._told:
                    self._steps.append(json.loads(line))
                    self._told.notify_all()

    def _errors(self) -> str:
        return self._log.read_text()[-2000:]
