"""What all figures of the benches share: percentiles, ratios, and tables for people.

Used by `wire_figures.py`, `store_figures.py` and the benches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from rich.box import SIMPLE_HEAD

from kessai.console import Table


class Figures(Protocol):
    """What every bench gives."""

    def to_json(self) -> str:
        """Write the figures that are compared from run to run as one JSON object."""
        ...

    def draw(self) -> Table:
        """Draw all figures for people."""
        ...


def percentile(ordered: Sequence[float], percent: int) -> float:
    """Give the smallest value that at least so many percent of a sorted sequence do not exceed."""
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def ratio_of(figure: float | None, rival: float | None) -> float | None:
    """Divide a figure by its rival's, if both were measured."""
    return figure / rival if figure is not None and rival else None


def rounded(figure: float | None, digits: int | None = None) -> float | None:
    """Round a figure, if it was measured."""
    return None if figure is None else round(figure, digits)


def row(
    what: str, figure: float | None, digits: str, unit: str = "a second"
) -> Iterator[tuple[str, str, str]]:
    """Give the row of a figure, if it was measured."""
    if figure is not None:
        yield what, format(figure, digits), unit


def draw_table(title: str, rows: Sequence[tuple[str, str, str]], note: str = "") -> Table:
    """Draw rows of what, how much, and the unit."""
    table = Table(
        title=title, title_justify="left", box=SIMPLE_HEAD, show_header=False,
        caption=note or None, caption_justify="left",
    )  # fmt: skip
    table.add_column()
    table.add_column(justify="right", style="bold cyan")
    table.add_column(style="bright_black")
    for cells in rows:
        table.add_row(*cells)
    return table
