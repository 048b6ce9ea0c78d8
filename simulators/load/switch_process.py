"""A switch as a process of its own: `kessai serve` on a data folder, where it listens, its memory.

Used by the benches. The process ends with the `with` block, whatever happens in it.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

from kessai.complaint import Complaint
from server import data_folder
from server.data_folder import Running

_KESSAI = "from cli.main import main; main()"
_START_LIMIT_S = 20.0
_STOP_LIMIT_S = 30.0
_LOOK_EVERY_S = 0.02


class SwitchProcess:
    """A running switch; what it logs goes to `serve.log` in its folder."""

    def __init__(self, folder: Path) -> None:
        """Start it, and wait until it listens; Complaint if it does not."""
        self._log = folder / "serve.log"
        words = [sys.executable, "-c", _KESSAI, "serve", "--data", str(folder)]
        with open(self._log, "ab") as log:
            self._process = subprocess.Popen(words, stderr=log, stdout=log)
        try:
            self.running = self._wait_until_it_listens(folder)
        except BaseException:
            self._process.kill()
            self._process.wait()
            raise

    def __enter__(self) -> SwitchProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self.kill()

    def kill(self) -> None:
        """End it with SIGKILL."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """Stop it as an operator would; Complaint if it does not end cleanly."""
        self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(_STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            raise self._complaint(f"the switch did not stop in {_STOP_LIMIT_S:g} s") from None
        if code:
            raise self._complaint(f"the switch ended with exit code {code}")

    def memory_mb(self) -> tuple[float, float]:
        """Tell its resident memory and the peak of it so far, in megabytes of 10^6 bytes.

        Processes that it has started, which write its shards, count too.
        """
        pid = self._process.pid
        started = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        figures = [_memory_mb(each) for each in (pid, *map(int, started))]
        return sum(resident for resident, _ in figures), sum(peak for _, peak in figures)

    def _wait_until_it_listens(self, folder: Path) -> Running:
        deadline = time.monotonic() + _START_LIMIT_S
        while (running := data_folder.read_running(folder)) is None:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise self._complaint("the switch did not start")
            time.sleep(_LOOK_EVERY_S)
        return running

    def _complaint(self, what: str) -> Complaint:
        return Complaint(f"{what}; it said: {self._log.read_text()[-2000:] or 'nothing'}")


def _memory_mb(pid: int) -> tuple[float, float]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    kib = {line.split(":")[0]: line.split()[1] for line in lines if line.startswith("Vm")}
    resident, peak = (int(kib[key]) * 1024 / 1_000_000 for key in ("VmRSS", "VmHWM"))
    return resident, peak
