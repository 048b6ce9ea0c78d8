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


def _wide() -> Table:
    table = Table("device", "lost", "certificate", "payment", box=None)
    table.add_row("agent/corner-shop/till-1", "", "until 2027-11-30 16:50", "0197f3a2-7c1e-7000")
    table.add_row("phone/ann/pixel", "", "1,234,567.89 EUR", "0197f3a2-7c1e-7001")
    return table


@pytest.mark.parametrize("width", [20, 40, 80, 120])
def test_nothing_in_a_table_is_cut(width: int) -> None:
    """On a narrow terminal the rows stand below each other, without what is empty."""
    out = io.StringIO()
    Console(file=out, width=width, force_terminal=True, color_system=None).print(_wide())
    shown, whole = out.getvalue(), "".join(out.getvalue().split())
    assert max(map(len, shown.splitlines())) <= width
    for each in ("agent/corner-shop/till-1", "2027-11-30", "1,234,567.89EUR", "000-7001"[4:]):
        assert each in whole
    assert "\u2026" not in shown


def test_what_is_piped_is_as_wide_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    out = io.StringIO()
    console = Console(file=out)
    console.print(_wide())
    console.print("one sentence that is longer than twenty columns are")
    assert len(out.getvalue().splitlines()) == 4


def test_an_empty_table_says_so() -> None:
    table = Table("account", "balance", title="Ann")
    table.empty = "no account yet"
    assert _shown(table) == "Ann\nno account yet\n"


def test_a_long_word_in_a_grid_is_folded() -> None:
    """Such as the number of a ticket, on a phone that is narrower than it."""
    number = "01a22da3-59bb-7d35-80d2-a4ff1c2b3d4e"
    grid = Table.grid()
    grid.add_row(Panel(Text(number), width=30))
    out = io.StringIO()
    Console(file=out, width=40, force_terminal=True, color_system=None).print(grid)
    shown = "".join(c for c in out.getvalue() if c in number)
    assert shown == number
