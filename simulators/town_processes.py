"""The processes of the town: each a real `kessai` command, followed line by line.

Used by `town.py`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from kessai.complaint import Complaint
from simulators.phone.cue import CUE

STOP_LIMIT_S = 15.0
RUN_LIMIT_S = 60.0


def kessai_command() -> list[str]:
    """Name the `kessai` of this environment."""
    return [str(Path(sys.executable).with_name("kessai"))]


def run(*words: str, says: str = "") -> str:
    """Run a command to its end; `says` is piped in. Its output comes back.

    Complaint with its last line if it fails.
    """
    try:
        done = subprocess.run(
            [*kessai_command(), *words],
            input=says,
            capture_output=True,
            text=True,
            timeout=RUN_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Complaint(f"kessai {words[0]} did not end in {RUN_LIMIT_S:g} s") from None
    if done.returncode != 0:
        raise Complaint(f"kessai {words[0]} failed: {(done.stderr or done.stdout).strip()}")
    return done.stdout


class Process:
    """A command that runs on its own; `on_line` gets each line that it prints."""

    def __init__(
        self,
        words: list[str],
        log: Path,
        on_line: Callable[[str], None] = lambda line: None,
        environment: Mapping[str, str] = MappingProxyType({}),
        says: str = "",
        on_cue: bool = False,
    ) -> None:
        """Start it; `log` gets what it says on stderr, `environment` goes beside our own.

        `says` is piped in: what must not stand among the arguments. With `on_cue` it loads, and
        waits for `cue`.
        """
        self._log = log
        with open(log, "ab") as errors:
            self._process = subprocess.Popen(
                [*kessai_command(), *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, **environment},
            )
        assert self._process.stdin is not None  # noqa: S101  (a pipe, as asked for)
        self._stdin = self._process.stdin
        if on_cue:
            self._stdin.write(f"{says}\n")
            self._stdin.flush()
        else:
            with contextlib.suppress(BrokenPipeError), self._stdin as pipe:
                pipe.write(says)
        self._reader = threading.Thread(target=self._follow, args=(on_line,), daemon=True)
        self._reader.start()

    @property
    def is_running(self) -> bool:
        """Tell whether it is still there."""
        return self._process.poll() is None

    def cue(self) -> None:
        """Let it begin."""
        with contextlib.suppress(BrokenPipeError), self._stdin as pipe:
            pipe.write(f"{CUE}\n")

    def wait(self, timeout_s: float) -> int:
        """Wait for its end and its last event; the exit code comes back."""
        try:
            code = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise Complaint(f"a process did not end in {timeout_s:g} s: see {self._log}") from None
        self._reader.join(timeout_s)
        return code

    def kill(self) -> None:
        """End it with SIGKILL."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """Ask it to end with SIGTERM; SIGKILL if it does not."""
        if self.is_running:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._reader.join(STOP_LIMIT_S)

    def _follow(self, on_line: Callable[[str], None]) -> None:
        output = self._process.stdout
        if output is None:
            return
        with output:
            for line in output:
                on_line(line)
