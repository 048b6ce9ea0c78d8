"""The figures: percentiles, JSON for machines, tables for people."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from simulators.load.figures import Figures, percentile
from simulators.load.store_figures import (
    EngineFigures,
    GrowthFigures,
    HotFigures,
    RecoveryFigures,
)
from simulators.load.wire_figures import GateFigures, StreamFigures, TapFigures, WireFigures

WIRE = WireFigures(1000.4, 2500.0, 3.14159, 27.5, 120.04, 130.0, 0, 12_345)
ENGINE = EngineFigures(12_345.0, 6000.4, 2469.0)
STREAM = StreamFigures(4000.9, 1000.0, 0, 12_345)
HOT = HotFigures(12_345.0, 9876.0)
GROWTH = GrowthFigures(12_345, 1.126, 1.2, 250.06, 1.5, 3.0, 20.0)
RECOVERY = RecoveryFigures(1.234, 2.0, 12_345, 30.0, 900)
TAP = TapFigures(40.04, 60.06, 120.0, 160.16, 200, 208)


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [([5.0], 99, 5.0), ([1.0, 2.0], 50, 1.0), ([1.0, 2.0, 3.0], 50, 2.0), ([1.0, 2.0], 99, 2.0)],
)
def test_percentile(values: list[float], percent: int, expected: float) -> None:
    """A value that was measured, never one between two."""
    assert percentile(values, percent) == expected


def test_percentiles_of_a_hundred() -> None:
    """Of 1 to 100 the p-th percentile is p."""
    values = [float(i) for i in range(1, 101)]
    assert [percentile(values, p) for p in (1, 50, 99, 100)] == [1, 50, 99, 100]


def test_the_json_of_the_wire_bench() -> None:
    """One line, with exactly these keys."""
    text = WIRE.to_json()
    assert "\n" not in text
    assert json.loads(text) == {
        "settlements_per_second": 1000,
        "noop_per_second": 2500,
        "ratio": 0.4,
        "p50_ms": 3.14,
        "p99_ms": 27.5,
        "rss_mb": 120.0,
        "dropped": 0,
    }


def test_the_json_of_the_tap_bench() -> None:
    """One line, with exactly these keys."""
    assert json.loads(TAP.to_json()) == {"p50_ms": 40.0, "p99_ms": 60.1, "p99_air_ms": 160.2}


def test_the_json_of_the_gate_bench() -> None:
    """Alone, and as a part of the tap bench's; null where it was not measured."""
    gates = GateFigures(30.04, 50.0, 180.25, None, 120, 0)
    assert json.loads(gates.to_json()) == {
        "gate_p50_ms": 30.0,
        "gate_p99_ms": 50.0,
        "gate_p99_air_ms": 180.2,
        "p99_edge_air_ms": None,
        "passages": 120,
        "wrong_decisions": 0,
    }
    both = json.loads(replace(TAP, gates=gates).to_json())
    assert both == json.loads(TAP.to_json()) | json.loads(gates.to_json())
    console = Console(record=True, width=100, file=io.StringIO())
    console.print(gates.draw())
    assert "not measured" in console.export_text()


def test_the_json_of_the_engine_bench() -> None:
    """One line, with exactly these keys; null where there was no PostgreSQL."""
    assert json.loads(ENGINE.to_json()) == {
        "settlements_per_second": 12_345,
        "pgbench_tps": 2469,
        "ratio": 5.0,
        "postgresql_settlements_per_second": 6000,
        "postgresql_pgbench_tps": 2469,
        "postgresql_ratio": 2.43,
    }
    alone = json.loads(EngineFigures(1000.0, None, None).to_json())
    assert alone.pop("settlements_per_second") == 1000
    assert set(alone.values()) == {None}


def test_the_json_of_the_stream_bench() -> None:
    """One line, with exactly these keys."""
    assert json.loads(STREAM.to_json()) == {"settlements_per_second": 4001, "wire_ratio": 4.0}


def test_the_json_of_the_hot_bench() -> None:
    """One line, with exactly this key."""
    assert json.loads(HOT.to_json()) == {"ratio": 1.25}


def test_the_json_of_the_growth_bench() -> None:
    """One line, with exactly these keys."""
    assert json.loads(GROWTH.to_json()) == {"ratio": 1.13, "statement_ratio": 1.2, "rss_mb": 250.1}


def test_the_json_of_the_recovery_bench() -> None:
    """One line, with exactly this key."""
    assert json.loads(RECOVERY.to_json()) == {"restart_s": 1.23}


@pytest.mark.parametrize("figures", [WIRE, TAP, ENGINE, STREAM, HOT, GROWTH, RECOVERY])
def test_the_table_fits_a_terminal(figures: Figures) -> None:
    """Eighty columns, and every figure is there."""
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(figures.draw())
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= 80
    expected = "160" if figures is TAP else "12,345"
    assert expected in text
