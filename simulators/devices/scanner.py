"""A hand scanner: types what it reads, with a carriage return at the end.

Also the cashier's command sheet, whose bar codes are %PAY, %CANCEL, %REMOVE and %REPRINT.
"""

from __future__ import annotations

from pathlib import Path

from simulators.devices.pty_line import PtyLine

DRIVER_TIMEOUT_S = 10.0


class SimulatedScanner:
    """A scanner on a pty at a path."""

    def __init__(self, path: Path, driver_timeout_s: float = DRIVER_TIMEOUT_S) -> None:
        self._driver_timeout_s = driver_timeout_s
        self.line = PtyLine(path, on_bytes=lambda _: None)
        self.line.plug()

    def scan(self, code: str) -> None:
        """Read a bar code; waits for the register to listen, NobodyListens if it does not."""
        self.type(code.encode("ascii", "replace") + b"\r")

    def type(self, data: bytes) -> None:
        """Send any bytes, as a broken scanner does."""
        self.line.wait_for_driver(self._driver_timeout_s)
        self.line.write(data)

    def close(self) -> None:
        """Take the scanner away."""
        self.line.unplug()
