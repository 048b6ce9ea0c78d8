"""A switch whose clock a test shifts: `python -m tests.scenarios.shifted_switch DATA`.

By as many microseconds as stand in the file `shift` of its data folder.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import structlog

from server.bootstrap import Switch
from server.config import load_config
from server.main import elapsed_us, now_us

PROGRAM = (sys.executable, "-m", "tests.scenarios.shifted_switch")
SHIFT = "shift"


def shift(folder: Path, microseconds: int) -> None:
    """Set the clock of the switch on a folder so much ahead of the real time."""
    new = folder / "shift.new"
    new.write_text(str(microseconds))
    new.rename(folder / SHIFT)


async def serve(folder: Path) -> None:
    """Serve until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)

    def shifted_us() -> int:
        ahead = folder / SHIFT
        return now_us() + int(ahead.read_text() if ahead.exists() else 0)

    switch = Switch(folder, load_config(folder), shifted_us, os.urandom, elapsed_us)
    await switch.start()
    await stop.wait()
    await switch.stop()


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    asyncio.run(serve(Path(sys.argv[1])))
