"""A simulator's picture in a small window: the top stays, all that is below is scrolled to."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from kessai.console import Console
from simulators.devices import counter, gate_spot, vending_front
from simulators.devices.counter import Counter
from simulators.devices.gate_spot import GateSpot
from simulators.devices.live import Picture, Scrolled
from simulators.devices.paper_roll import PrintedLine
from simulators.devices.vending_machine import VendingMachine

WIDTH, HEIGHT = 80, 24
ROLL = [PrintedLine(f"item {number:02}  1.{number:02}") for number in range(40)]


def shown(picture: Picture, first: int) -> tuple[list[str], int]:
    """The lines of the window, and where it stands now."""
    out, scrolled = io.StringIO(), Scrolled(picture, first)
    window = Console(file=out, width=WIDTH, height=HEIGHT, force_terminal=True, color_system=None)
    window.print(scrolled, end="")
    return out.getvalue().splitlines(), scrolled.first


def scrolled_through(picture: Picture) -> str:
    """All that can be seen, from the top to the end."""
    seen, first = list[str](), 0
    while True:
        lines, now = shown(picture, first)
        assert len(lines) <= HEIGHT
        assert max(map(len, lines)) <= WIDTH
        assert "> typed" in "\n".join(lines)
        seen += lines
        if now < first:
            return "\n".join(seen)
        first = now + 1


@pytest.mark.parametrize("simulator", ["register", "vending", "gate"])
def test_all_commands_and_a_whole_receipt_are_reached(tmp_path: Path, simulator: str) -> None:
    """In a window of 80 columns and 24 rows."""
    opened: dict[str, Callable[[], tuple[Picture, dict[str, str]]]] = {
        "register": lambda: (_register(tmp_path), counter._HELP),
        "vending": lambda: (_vending(tmp_path), vending_front._HELP),
        "gate": lambda: (GateSpot(tmp_path).draw("typed", "said", HEIGHT), gate_spot._HELP),
    }
    picture, commands = opened[simulator]()
    seen = scrolled_through(picture)
    for typed, does in commands.items():
        assert typed in seen
        assert does in seen
    if simulator == "register":
        assert all(line.text in seen for line in ROLL)


def test_what_fits_is_not_scrolled() -> None:
    lines, now = shown(Picture("> typed", "a\nb"), 5)
    assert (lines, now) == ([line.ljust(WIDTH) for line in ("> typed", "a", "b")], 0)


def _register(folder: Path) -> Picture:
    register = Counter(folder)
    register.printer.roll.slips.append(list(ROLL))
    return register.draw("typed", "said", HEIGHT)


def _vending(folder: Path) -> Picture:
    return vending_front.draw(VendingMachine(folder / "machine", os.urandom), "typed", "said")
