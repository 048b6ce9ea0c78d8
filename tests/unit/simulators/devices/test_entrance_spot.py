"""The place before an entrance: what is typed is done to the door, and it is drawn."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from simulators.devices.entrance_spot import KEY_FILE, EntranceSpot


@pytest.fixture
def spot(tmp_path: Path) -> Iterator[EntranceSpot]:
    opened = EntranceSpot(tmp_path / "lines")
    yield opened
    opened.close()


def test_the_line_and_the_key_are_there(spot: EntranceSpot, tmp_path: Path) -> None:
    """The key stays the same for the next time."""
    key = (tmp_path / "lines" / KEY_FILE).read_text()
    assert len(bytes.fromhex(key)) == 16
    assert (tmp_path / "lines" / "door").exists()
    assert spot.obey("unplug") == "Done: unplug."
    assert not (tmp_path / "lines" / "door").exists()
    assert spot.obey(" Plug ") == "Done: plug."
    assert (tmp_path / "lines" / "door").exists()


def test_what_is_not_on_the_menu(spot: EntranceSpot) -> None:
    assert spot.obey("") == ""
    assert spot.obey("kick") == (
        'There is no "kick": jam, free, hold, let go, cut, mend, tamper, seal, battery, mains, '
        "silent, speak, garbage, sense, unplug, plug."
    )


def test_it_is_drawn(spot: EntranceSpot) -> None:
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(spot.draw("ja", "Done: free.", 24))
    drawn = console.export_text()
    for said in ("door", "locked", "0 went in", "> ja", "Done: free.", "jam, free"):
        assert said in drawn
