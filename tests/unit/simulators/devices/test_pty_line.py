"""The pty behind a device's path: plugged, unplugged, and nobody listening."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import serial

from simulators.devices.pty_line import NobodyListens, PtyLine

WAIT_S = 60.0


class Ear:
    """Hears what a driver writes."""

    def __init__(self) -> None:
        self.heard = b""
        self._more = threading.Condition()

    def __call__(self, data: bytes) -> None:
        with self._more:
            self.heard += data
            self._more.notify_all()

    def wait_for(self, data: bytes) -> None:
        with self._more:
            assert self._more.wait_for(lambda: data in self.heard, WAIT_S)


def test_both_ways_without_change(tmp_path: Path) -> None:
    """Every byte arrives as it is: no echo, no line discipline."""
    ear = Ear()
    line, everything = PtyLine(tmp_path / "line", ear), bytes(range(256))
    line.plug()
    with serial.Serial(str(line.path), timeout=WAIT_S) as driver:
        line.wait_for_driver(WAIT_S)
        driver.write(everything)
        ear.wait_for(everything)
        line.write(everything)
        assert driver.read(256) == everything
    assert ear.heard == everything
    line.unplug()


def test_nobody_listens(tmp_path: Path) -> None:
    line = PtyLine(tmp_path / "line", Ear())
    line.plug()
    with pytest.raises(NobodyListens, match="nobody opened"):
        line.wait_for_driver(0.02)
    with serial.Serial(str(line.path)):
        line.wait_for_driver(WAIT_S)
    with pytest.raises(NobodyListens):
        line.wait_for_driver(0.02)
    line.unplug()
    with pytest.raises(NobodyListens):
        line.wait_for_driver(0.02)


def test_the_path_stays_the_same(tmp_path: Path) -> None:
    ear = Ear()
    line = PtyLine(tmp_path / "deep" / "line", ear)
    for count in range(3):
        line.plug()
        line.plug()
        with serial.Serial(str(line.path)) as driver:
            driver.write(b"%d" % count)
            ear.wait_for(b"%d" % count)
        line.unplug()
        line.unplug()
        assert not line.is_plugged
        assert not line.path.is_symlink()


def test_a_line_left_by_a_killed_simulator_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / "line").symlink_to("/dev/pts/99999")
    line = PtyLine(tmp_path / "line", Ear())
    line.plug()
    with serial.Serial(str(line.path)):
        line.wait_for_driver(WAIT_S)
    line.unplug()
