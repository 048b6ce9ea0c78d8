"""The page of the benches: what stands between its marks is new, the rest stays as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from kessai.complaint import Complaint
from simulators.load.aims import AIMS, Aim
from simulators.load.page import QUICK, RUNS, Measured, fill, machine, write_page

PAGE = """# Page
<!-- machine -->
<!-- /machine -->
Words of people.
<!-- figures -->
old
<!-- /figures -->
<!-- commands -->
<!-- /commands -->
More words.
"""


def test_only_what_is_between_the_marks_is_written_anew() -> None:
    text = fill(PAGE, "figures", "new")
    assert text == PAGE.replace("old", "new")


@pytest.mark.parametrize("missing", ["<!-- figures -->", "<!-- /figures -->"])
def test_a_page_without_a_mark_is_a_complaint(tmp_path: Path, missing: str) -> None:
    """Before any bench is run, and the page stays as it is."""
    page = tmp_path / "page.md"
    page.write_text(PAGE.replace(missing, ""))
    with pytest.raises(Complaint, match="no place for the figures"):
        write_page(page, tmp_path, RUNS, lambda doing: None)
    assert page.read_text() == PAGE.replace(missing, "")


def test_a_bench_that_fails_leaves_the_page_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    with pytest.raises(Complaint, match="bench nothing failed"):
        write_page(page, tmp_path, (("nothing",),), lambda doing: None)
    assert page.read_text() == PAGE


def test_a_page_is_written_with_its_plots(tmp_path: Path) -> None:
    """By running the command that the page names."""
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    write_page(page, tmp_path, (("hot", "--seconds=0.5", "--accounts=100"),), lambda doing: None)
    text = page.read_text()
    assert "Words of people." in text
    assert "More words." in text
    assert "old" not in text
    assert machine() in text
    assert "kessai bench hot --seconds=0.5 --accounts=100 --json" in text
    assert "| hot | `ratio` |" in text
    assert "![hot](page/hot.svg)" in text
    assert (tmp_path / "page" / "hot.svg").read_text().count("to payees drawn evenly") == 1


@pytest.mark.parametrize(
    ("aim", "figure", "verdict"),
    [
        (Aim("x", "that", 5), 5.0, "| ≥ 5 | met |"),
        (Aim("x", "that", 5), 4.0, "| ≥ 5 | **short by 20%** |"),
        (Aim("x", "that", 2, at_least=False), 2.0, "| ≤ 2 | met |"),
        (Aim("x", "that", 2, at_least=False), 3.0, "| ≤ 2 | **short by 50%** |"),
        (Aim("x", "that", 0, at_least=False), 0.0, "| ≤ 0 | met |"),
        (Aim("x", "that", 0, at_least=False), 3.0, "| ≤ 0 | **short** |"),
        (Aim("x", "that", 5), None, "| not measured | ≥ 5 | not measured |"),
        (Aim("x", "that"), 1234.0, "| 1,234.0 | | |"),
    ],
)
def test_met_or_short(aim: Aim, figure: float | None, verdict: str) -> None:
    assert aim.row("bench", {"x": figure}).endswith(verdict)


def test_every_run_has_a_plot_and_its_aims(tmp_path: Path) -> None:
    """In the order of the page; plots without PostgreSQL's figures, too."""
    from simulators.load.page_plots import draw_plots  # loads matplotlib, which takes its time

    for runs in (RUNS, QUICK):
        assert list(dict.fromkeys(run[0] for run in runs)) == list(AIMS)
        measured: Measured = [
            (run, dict.fromkeys((aim.key for aim in AIMS[run[0]]), 1.5)) for run in runs
        ]
        draw_plots(tmp_path, measured)
        assert {path.stem for path in tmp_path.glob("*.svg")} == set(AIMS)
        assert max(path.stat().st_size for path in tmp_path.glob("*.svg")) < 30_000
    engine = {aim.key: None if "p" in aim.key[:1] else 1000.0 for aim in AIMS["engine"]}
    draw_plots(tmp_path, [(("engine",), engine)])
    assert "pgbench" not in (tmp_path / "engine.svg").read_text()
