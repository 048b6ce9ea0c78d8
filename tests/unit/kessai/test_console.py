"""The console: brackets are brackets, and nobody's words move the cursor or make a second line."""

from __future__ import annotations

import io

import pytest
from rich.panel import Panel
from rich.text import Text

from kessai.console import Console, Table, styled
from kessai.plain_text import MARK

EVIL = "[/] [red]x[/red] \x1b]0;mine\x1b\\ \x1b[2J\x9b1A \u202e"
SHOWN = f"[/] [red]x[/red] {MARK}]0;mine{MARK}\\ {MARK}[2J{MARK}1A {MARK}"


def _shown(thing: object, *, colours: bool = False) -> str:
    out = io.StringIO()
    Console(file=out, width=120, force_terminal=colours, soft_wrap=True).print(thing)
    return out.getvalue()


@pytest.mark.parametrize("thing", [EVIL, Text(EVIL), styled("{}", EVIL)])
def test_words_are_shown_as_they_are(thing: object) -> None:
    assert _shown(thing) == SHOWN + "\n"


def test_a_row_is_one_line() -> None:
    table = Table("device", "software", box=None)
    table.add_row("till-1", f"1.0\ntill-2 {EVIL}")
    _, row = _shown(table).splitlines()
    assert row.split() == ["till-1", "1.0", "till-2", *SHOWN.split()]


def test_a_panel_keeps_its_colours_and_nothing_else_of_a_terminal() -> None:
    shown = _shown(Panel(Text(EVIL, "red")), colours=True)
    assert "\x1b[31m" in shown
    assert "\x1b]0;" not in shown
    assert "\x1b[2J" not in shown


def test_values_take_the_style_of_their_place() -> None:
    text = styled("[bold]{}[/] is {}", "[/]\\", "x[y]")
    assert text.plain == "[/]\\ is x[y]"
    assert text.spans[0].end == len("[/]\\")


def test_a_console_is_as_wide_as_the_terminal_is_when_it_prints(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A module's console is made when the module is imported, in tests long before."""
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setenv("LINES", "5")
    console = Console(file=io.StringIO())
    assert (console.width, console.height) == (20, 5)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("LINES")
    assert (console.width, console.height) == (200, 25)
    assert Console(file=io.StringIO(), width=60).width == 60
