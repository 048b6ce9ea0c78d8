"""A gate's barrier on a Modbus RTU line: motor, passage sensor, and what can go wrong with them.

The far side of `edge_agents/devices/barrier.py`, written from the Modbus specification (function
codes 1, 2, 4 and 5) and not with the driver's library, so that they check each other. People are
tests, demonstrations and whoever sits at `kessai simulate barrier`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

from rich import box
from rich.align import Align
from rich.panel import Panel
from rich.text import Text

from simulators.devices.pty_line import PtyLine

UNIT = 1
COUNTER_SPAN = 65_536

_READ_COILS, _READ_INPUTS, _READ_REGISTERS, _WRITE_COIL = 1, 2, 4, 5
_FRAME_BYTES = 8
_ON = b"\xff\x00"
_ILLEGAL_FUNCTION, _ILLEGAL_ADDRESS = 1, 2
_SLOW_S = 0.15


class BarrierFault(StrEnum):
    """What is wrong with a barrier."""

    NONE = "none"
    JAM = "jam"
    SILENT = "silent"
    GARBAGE = "garbage"
    SLOW = "slow"


class SimulatedBarrier:
    """A barrier on a pty at a path; `on_change` is called when anything about it has changed."""

    def __init__(self, path: Path, on_change: Callable[[], None] = lambda: None) -> None:
        self._on_change = on_change
        self._changed = threading.Condition()
        self._frame = bytearray()
        self._is_open, self._passages = False, 0
        self.fault = BarrierFault.NONE
        self.openings = 0
        self.line = PtyLine(path, self._take)
        self.line.plug()

    @property
    def is_open(self) -> bool:
        """Tell whether it stands open."""
        return self._is_open

    @property
    def passages(self) -> int:
        """How many persons passed."""
        return self._passages

    def set_fault(self, fault: BarrierFault) -> None:
        """Break something, or repair it."""
        with self._changed:
            self.fault = fault
            self._changed.notify_all()
        self._on_change()

    def wait_until_open(self, timeout_s: float = 20.0) -> None:
        """Wait until somebody may pass; TimeoutError if nobody may."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._is_open, timeout_s):
                raise TimeoutError("the barrier stays shut")

    def wait_until_shut(self, timeout_s: float = 20.0) -> None:
        """Wait until it is shut; TimeoutError if it stays open."""
        with self._changed:
            if not self._changed.wait_for(lambda: not self._is_open, timeout_s):
                raise TimeoutError("the barrier stays open")

    def walk_through(self, persons: int = 1) -> bool:
        """Let people walk; more than one is tailgating. False: it is shut, nobody got through."""
        with self._changed:
            if not self._is_open:
                return False
            self._passages += persons
            self._changed.notify_all()
        self._on_change()
        return True

    def climb_over(self) -> None:
        """Let somebody pass though it is shut."""
        with self._changed:
            self._passages += 1
            self._changed.notify_all()
        self._on_change()

    def restart(self, passages: int = 0) -> None:
        """Switch the board off and on: it stands shut and counts from 0, or from so many."""
        with self._changed:
            self._is_open, self._passages = False, passages
            self._changed.notify_all()
        self._on_change()

    def draw(self) -> Panel:
        """Draw what a person sees who stands before it."""
        if self.fault is BarrierFault.JAM:
            picture, colour = "┃▒▒▒ !! ▒▒▒┃", "yellow"
        elif self._is_open:
            picture, colour = "┃    ──▶    ┃", "green"
        else:
            picture, colour = "┃▒▒▒▒▒▒▒▒▒▒▒┃", "red"
        state = "go" if self._is_open else "stop"
        text = Text.assemble((f"{picture}\n", f"bold {colour}"), (state.upper(), colour))
        text.append(f"\n{self._passages} passed", "dim")
        text.justify = "center"
        return Panel(
            Align.center(text), title="barrier", box=box.ROUNDED, border_style=colour, width=28
        )

    def close(self) -> None:
        """Take the barrier away."""
        self.line.unplug()

    def _take(self, data: bytes) -> None:
        self._frame += data
        while len(self._frame) >= _FRAME_BYTES:
            frame = bytes(self._frame[:_FRAME_BYTES])
            if crc16(frame[:-2]) != frame[-2:]:
                del self._frame[0]  # out of step: the next byte may begin a frame
                continue
            del self._frame[:_FRAME_BYTES]
            if frame[0] == UNIT:
                self._answer(frame)

    def _answer(self, frame: bytes) -> None:
        if self.fault is BarrierFault.SILENT:
            return
        if self.fault is BarrierFault.SLOW:
            time.sleep(_SLOW_S)  # the motor's controller is busy
        if self.fault is BarrierFault.GARBAGE:
            self.line.write(bytes(frame[1:]) + b"\x00\xff")
            return
        body = self._obey(frame)
        self.line.write(body + crc16(body))

    def _obey(self, frame: bytes) -> bytes:
        function, address, value = frame[1], int.from_bytes(frame[2:4], "big"), frame[4:6]
        if function == _WRITE_COIL and address == 0:
            self._move(value == _ON)
            return frame[:6]
        if function in (_READ_COILS, _READ_INPUTS) and address == 0:
            jammed = self.fault is BarrierFault.JAM
            bits = self._is_open if function == _READ_COILS else self._is_open | jammed << 1
            return bytes([UNIT, function, 1, bits])
        if function == _READ_REGISTERS and address == 0 and value == b"\x00\x01":
            return bytes([UNIT, function, 2]) + (self._passages % COUNTER_SPAN).to_bytes(2, "big")
        known = function in (_READ_COILS, _READ_INPUTS, _READ_REGISTERS, _WRITE_COIL)
        return bytes([UNIT, function | 0x80, _ILLEGAL_ADDRESS if known else _ILLEGAL_FUNCTION])

    def _move(self, is_open: bool) -> None:
        with self._changed:
            if self.fault is BarrierFault.JAM or is_open == self._is_open:
                return
            self._is_open = is_open
            self.openings += is_open
            self._changed.notify_all()
        self._on_change()


def crc16(frame: bytes) -> bytes:
    """Compute Modbus RTU's checksum, low byte first (Modbus over serial line, 2.5.1.2)."""
    crc = 0xFFFF
    for byte in frame:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
    return crc.to_bytes(2, "little")
