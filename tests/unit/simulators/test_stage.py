"""The stage of the demo in windows of several sizes: nothing on it is cut, no amount above all."""

from __future__ import annotations

import io

import pytest
from rich.console import Group, RenderableType
from rich.panel import Panel

from kessai.console import Console
from simulators.devices.paper_roll import PrintedLine, draw_slip
from simulators.phone.screen import Item, Screen, View
from simulators.town_stage import Line, Movement, Stage

TITLES = (
    "At the register: relayed by the till, or by the phone's own line",
    "A concert: a ticket from the machine, and a door with no attendant",
    "The network goes down, and comes back",
)
SHOWN = Screen(
    View.PURCHASE,
    shop="Corner Shop",
    total="1,234.78 EUR",
    items=(Item("Rye bread 1 kg", 1, "3.49"),),
    message="Pay?",
)


def stage(rows: int, phones: int, has_slip: bool) -> Stage:
    """A stage on which the till asks, and somebody's phone shows what for."""
    made = Stage(rows=rows)
    made.lines = [Line(TITLES[0], "13.74 EUR paid, 1 declined"), *map(Line, TITLES[1:])]

    def till() -> RenderableType:
        display = Panel("To pay EUR  4.78", width=28)
        if has_slip and made.room_for_slips:
            return Group(display, draw_slip([PrintedLine("Total 4.78")] * 18))
        return display

    made.begin(made.lines[1], "Alice's phone checks the shop's certificate.", till, door)
    for name in ("Alice", "Bob")[:phones]:
        made.show_phone(name, SHOWN)
    made.hear(till, "till-1: waiting for tap")
    for _ in range(7):
        made.movements.append(Movement("Corner Shop", "payment", "4.78", "5.00 EUR", "Bob"))
    return made


def door() -> RenderableType:
    """Another place."""
    return Panel("door\n" * 8, width=36)


def drawn(shown: Stage, width: int, height: int) -> str:
    """The stage in a window."""
    out = io.StringIO()
    window = Console(file=out, width=width, height=height, force_terminal=True, color_system=None)
    window.print(shown)
    return out.getvalue().rstrip("\n")


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (132, 50), (200, 30)])
@pytest.mark.parametrize(("phones", "has_slip"), [(1, False), (2, True)])
def test_the_latest_is_whole_in_any_window(
    size: tuple[int, int], phones: int, has_slip: bool
) -> None:
    """The till that spoke last, and the phone that did; what has no room is left out whole."""
    width, height = size
    shown = drawn(stage(height, phones, has_slip), width, height)
    lines = shown.splitlines()
    assert len(lines) <= height
    assert max(map(len, lines)) <= width
    assert "\u2026" not in shown
    assert "To pay EUR  4.78" in shown
    latest = ("Alice", "Bob")[phones - 1]
    assert f"{latest}'s phone" in shown
    assert "1,234.78 EUR" in shown
    assert shown.count("\u256d") == shown.count("\u256f")


def test_a_stage_without_a_window_shows_all() -> None:
    shown = drawn(stage(0, 2, has_slip=True), 200, 24)
    assert all(title in shown for title in TITLES)
    assert shown.count("5.00 EUR") == 7
    assert "steps" in shown


def test_a_scene_without_places_has_no_empty_panel() -> None:
    """As of two friends: their phones tell the steps."""
    made = Stage()
    made.begin(Line("Two friends"), "Bob sees who asks.")
    assert "steps" not in drawn(made, 200, 50)
    made.show_phone("Bob", SHOWN)
    assert "Bob's phone: Pay?" in drawn(made, 200, 50)
