"""Which plot each bench has in docs/benchmarks.md. Used by `page.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from simulators.load.aims import AIMS, Figures
from simulators.load.attacks import Attack
from simulators.load.flood_figures import LEAST_LIMIT_MS
from simulators.load.growth import FEW_ACCOUNTS
from simulators.load.plots import Bar, Curve, Limit, draw_bars, draw_curve

Runs = Sequence[tuple[tuple[str, ...], Figures]]


def draw_plots(folder: Path, measured: Runs) -> None:
    """Draw a plot for each bench that was run, `<bench>.svg`."""
    benches = dict.fromkeys(run[0] for run, _ in measured)
    for bench in benches:
        own = [(run, figures) for run, figures in measured if run[0] == bench]
        _PLOTS[bench](folder / f"{bench}.svg", own)


def _engine(path: Path, runs: Runs) -> None:
    figures = runs[-1][1]
    bars = [Bar("SQLite shards", _of(figures, "settlements_per_second"))]
    limits = []
    if figures["pgbench_tps"] is not None:
        rival = _of(figures, "pgbench_tps")
        bars += [
            Bar("PostgreSQL shards", _of(figures, "postgresql_settlements_per_second")),
            Bar("pgbench TPC-B", rival, ours=False),
        ]
        limits = [Limit(2 * rival, "2×"), Limit(5 * rival, "5×"), Limit(10 * rival, "10× pgbench")]
    draw_bars(path, "durable settlements (transactions) a second", bars, limits)


def _wire(path: Path, runs: Runs) -> None:
    settled, no_op = (
        _of(runs[-1][1], key) for key in ("settlements_per_second", "noop_per_second")
    )
    bars = [Bar("signed settlements", settled), Bar("no-op calls", no_op, ours=False)]
    draw_bars(path, "calls a second", bars, [Limit(0.6 * no_op, "0.6 of the no-op calls")])


def _stream(path: Path, runs: Runs) -> None:
    streamed, ratio = (_of(runs[-1][1], key) for key in ("settlements_per_second", "wire_ratio"))
    unary = streamed / ratio
    bars = [Bar("100 a message", streamed), Bar("one a call", unary, ours=False)]
    draw_bars(path, "signed settlements a second", bars, [Limit(4 * unary, "4×")])


def _flood(path: Path, runs: Runs) -> None:
    figures = runs[-1][1]
    bars = [Bar("no attack", _of(figures, "calm_p99_ms"), ours=False)]
    bars += [Bar(attack.replace("_", " "), _of(figures, f"{attack}_p99_ms")) for attack in Attack]
    limit = max(2 * _of(figures, "calm_p99_ms"), LEAST_LIMIT_MS)
    unit = "milliseconds, 99 of 100 honest payments within"
    draw_bars(path, unit, bars, [Limit(limit, f"at most {limit:.0f} ms")])


def _hot(path: Path, runs: Runs) -> None:
    bars = [
        Bar("all to one distributed payee", _of(runs[-1][1], "ratio")),
        Bar("to payees drawn evenly", 1.0, ours=False),
    ]
    draw_bars(path, "settlements a second, as a ratio", bars, [Limit(0.9, "0.9")])


def _growth(path: Path, runs: Runs) -> None:
    sizes = [FEW_ACCOUNTS, *(_size(run, "accounts") for run, _ in runs)]
    cost = [1.0, *(_of(figures, "ratio") for _, figures in runs)]
    curve = Curve(sizes, cost)
    unit = "cost of a settlement, ratio"
    draw_curve(path, "accounts", unit, curve, Limit(1.15, "at most 1.15"))


def _recovery(path: Path, runs: Runs) -> None:
    sizes = [_size(run, "rows") for run, _ in runs]
    curve = Curve(sizes, [_of(figures, "restart_s") for _, figures in runs])
    unit = "seconds to the next receipt"
    draw_curve(path, "rows in the log", unit, curve, Limit(2, "at most 2 s"))


def _tap(path: Path, runs: Runs) -> None:
    figures = runs[-1][1]
    limits = {aim.key: aim.limit for aim in AIMS["tap"]}
    shown = {
        "p99_ms": "till",
        "p99_air_ms": "till, with air time",
        "gate_p99_ms": "gate",
        "gate_p99_air_ms": "gate, with air time",
        "p99_edge_air_ms": "gate without the switch, with air time",
    }
    bars = [Bar(label, _of(figures, key), aim=limits[key]) for key, label in shown.items()]
    unit = "milliseconds, 99 of 100 within; marked: the aim"
    draw_bars(path, unit, bars, [])


def _of(figures: Figures, key: str) -> float:
    return figures[key] or 0.0


def _size(run: tuple[str, ...], option: str) -> float:
    (size,) = (word.partition("=")[2] for word in run if word.startswith(f"--{option}="))
    return float(size)


_PLOTS: dict[str, Callable[[Path, Runs], None]] = {
    "engine": _engine,
    "wire": _wire,
    "stream": _stream,
    "flood": _flood,
    "hot": _hot,
    "growth": _growth,
    "recovery": _recovery,
    "tap": _tap,
}
