"""The simulated display shows what a real one would."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from rich.console import Console

from simulators.devices.display import SimulatedDisplay


def test_it_interprets_escpos(tmp_path: Path) -> None:
    display = SimulatedDisplay(tmp_path / "display")
    line = os.open(display.line.path, os.O_RDWR | os.O_NOCTTY)
    os.write(line, b"\x1b@\x1bt\x13\x0cHello\x1f$\x05\x02w\x94rld\x1f$\x63\x63")
    display.wait_for("wörld")
    assert display.lines == ("Hello".ljust(20), "    wörld".ljust(20))
    os.write(line, b"\x0b" + b"x" * 21 + b"\r\n!")
    display.wait_for("!")
    assert display.lines[0] == "!" + "x" * 19
    os.write(line, b"\x0c\x01gone")
    display.wait_for("gone")
    assert display.text == "gone"
    os.close(line)
    display.close()


def test_waiting_says_what_it_shows_instead(tmp_path: Path) -> None:
    display = SimulatedDisplay(tmp_path / "display")
    with pytest.raises(TimeoutError, match='shows "" and not "PAID"'):
        display.wait_for("PAID", timeout_s=0.01)
    display.close()


def test_it_can_be_drawn(tmp_path: Path) -> None:
    display = SimulatedDisplay(tmp_path / "display")
    display._take(b"To pay EUR      4.34")
    console = Console(width=60, record=True, file=io.StringIO())
    console.print(display.draw())
    assert "To pay EUR      4.34" in console.export_text()
    display.close()


def test_a_change_is_waited_for(tmp_path: Path) -> None:
    """By whoever has caused it, so that he does not look at what was there before."""
    display = SimulatedDisplay(tmp_path / "display")
    line = os.open(display.line.path, os.O_RDWR | os.O_NOCTTY)
    assert not display.wait_for_change("", 0.01)
    os.write(line, b"Total 3.49")
    assert display.wait_for_change("", 5)
    assert display.text == "Total 3.49"
    os.close(line)
    display.close()
