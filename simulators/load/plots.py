"""The plots of docs/benchmarks.md: small SVG files that can be read on light and on dark pages.

The only place that needs matplotlib (extra `bench`). Used by `page.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

_OURS, _RIVAL, _AIM, _INK = "#3d8bd4", "#9aa4b0", "#d97a1e", "#7d8794"
_WIDTH, _BAR, _MARGIN, _CURVE = 6.4, 0.36, 0.95, 2.6

_STYLE: dict[Any, object] = {
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "kessai",
}


class Bar(NamedTuple):
    """A figure of ours, or of the rival's; `aim` is marked beside it, if it has one of its own."""

    label: str
    value: float
    ours: bool = True
    aim: float | None = None


class Limit(NamedTuple):
    """Where the aim is, and what it says."""

    value: float
    label: str


class Curve(NamedTuple):
    """A figure over sizes."""

    sizes: Sequence[float]
    values: Sequence[float]


def draw_bars(path: Path, unit: str, bars: Sequence[Bar], limits: Sequence[Limit]) -> None:
    """Draw bars, the first on top, and the aims as dashed lines."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, _BAR * len(bars) + _MARGIN), layout="constrained")
        axes = figure.add_subplot()
        axes.barh(
            [bar.label for bar in bars],
            [bar.value for bar in bars],
            color=[_OURS if bar.ours else _RIVAL for bar in bars],
            height=0.6,
        )
        aims = [bar.aim or 0.0 for bar in bars] + [limit.value for limit in limits]
        most = max([*(bar.value for bar in bars), *aims])
        for place, bar in enumerate(bars):
            _label(axes, place, bar, most)
        axes.invert_yaxis()
        axes.set_xlabel(unit)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,g}")
        for limit in limits:
            axes.axvline(limit.value, color=_AIM, linestyle="--", linewidth=1.2)
            axes.annotate(
                limit.label, (limit.value, 1), xycoords=("data", "axes fraction"),
                xytext=(0, 3), textcoords="offset points", ha="center", color=_AIM, fontsize=8,
            )  # fmt: skip
        axes.set_xlim(0, most * 1.15)
        axes.tick_params(axis="y", length=0)
        figure.savefig(path, transparent=True, metadata={"Date": None})


def draw_curve(path: Path, over: str, unit: str, curve: Curve, limit: Limit) -> None:
    """Draw a curve over sizes on a logarithmic axis, and the aim as a dashed line."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, _CURVE), layout="constrained")
        axes = figure.add_subplot()
        axes.plot(curve.sizes, curve.values, marker="o", color=_OURS)
        axes.axhline(limit.value, color=_AIM, linestyle="--", linewidth=1.2)
        axes.annotate(
            limit.label, (0.12, limit.value), xycoords=("axes fraction", "data"),
            xytext=(0, 4), textcoords="offset points", ha="left", color=_AIM, fontsize=8,
        )  # fmt: skip
        axes.set_xscale("log")
        axes.set_xticks(curve.sizes, [f"{size:,.0f}" for size in curve.sizes])
        axes.minorticks_off()
        axes.set_xlabel(over)
        axes.set_ylabel(unit)
        axes.set_ylim(0, max([limit.value, *curve.values]) * 1.2)
        for at in zip(curve.sizes, curve.values, strict=True):
            axes.annotate(
                _number(at[1]), at, xytext=(0, -13), textcoords="offset points", ha="center"
            )
        figure.savefig(path, transparent=True, metadata={"Date": None})


def _label(axes: Axes, place: int, bar: Bar, most: float) -> None:
    """Write a bar's figure beside it, behind the mark of its aim if that stands in the way."""
    at = bar.value
    if bar.aim is not None:
        axes.plot([bar.aim] * 2, [place - 0.4, place + 0.4], color=_AIM, linewidth=1.6)
        at = bar.aim if 0 < bar.aim - at < most / 8 else at
    axes.annotate(
        _number(bar.value), (at, place), xytext=(4, 0), textcoords="offset points", va="center"
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
