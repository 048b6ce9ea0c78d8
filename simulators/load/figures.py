"""The figures of the benches: how they are computed, shown to people, and written as JSON.

Used by `wire.py`, `tap.py` and `cli.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from rich.box import SIMPLE_HEAD
from rich.table import Table


class Figures(Protocol):
    """What every bench gives."""

    def to_json(self) -> str:
        """Write the figures that are compared from run to run as one JSON object."""
        ...

    def draw(self) -> Table:
        """Draw all figures for people."""
        ...


@dataclass(frozen=True, slots=True)
class WireFigures:
    """What `kessai bench wire` measured; memory in megabytes of 10^6 bytes."""

    settlements_per_second: float
    noop_per_second: float
    p50_ms: float
    p99_ms: float
    rss_mb: float
    peak_mb: float
    dropped: int
    acknowledged: int

    @property
    def ratio(self) -> float:
        """How many of the server's no-op calls a settlement costs, the other way round."""
        return self.settlements_per_second / self.noop_per_second

    def to_json(self) -> str:
        """Write the figures that are compared from run to run as one JSON object."""
        return json.dumps(
            {
                "settlements_per_second": round(self.settlements_per_second),
                "noop_per_second": round(self.noop_per_second),
                "ratio": round(self.ratio, 3),
                "p50_ms": round(self.p50_ms, 2),
                "p99_ms": round(self.p99_ms, 2),
                "rss_mb": round(self.rss_mb, 1),
                "dropped": self.dropped,
            }
        )

    def draw(self) -> Table:
        """Draw all figures for people."""
        rows = (
            ("settlements, signed and durable", f"{self.settlements_per_second:,.0f}", "a second"),
            ("no-op calls of the same server", f"{self.noop_per_second:,.0f}", "a second"),
            ("ratio of the two", f"{self.ratio:.2f}", ""),
            ("latency at half of that load, median", f"{self.p50_ms:.1f}", "ms"),
            ("99 of 100 are answered within", f"{self.p99_ms:.1f}", "ms"),
            ("the server's memory after the load", f"{self.rss_mb:.0f}", "MB"),
            ("its peak", f"{self.peak_mb:.0f}", "MB"),
            ("calls dropped", f"{self.dropped:,}", ""),
            ("payments acknowledged and found in the books", f"{self.acknowledged:,}", ""),
        )
        return _draw("over the wire: mutual TLS, 64 calls in flight", rows)


@dataclass(frozen=True, slots=True)
class StreamFigures:
    """What `kessai bench stream` measured: settlements by streams and by unary calls."""

    settlements_per_second: float
    wire_per_second: float
    dropped: int
    acknowledged: int

    @property
    def wire_ratio(self) -> float:
        """How many settlements by unary calls those by streams are."""
        return self.settlements_per_second / self.wire_per_second

    def to_json(self) -> str:
        """Write the figures that are compared from run to run as one JSON object."""
        return json.dumps(
            {
                "settlements_per_second": round(self.settlements_per_second),
                "wire_ratio": round(self.wire_ratio, 2),
            }
        )

    def draw(self) -> Table:
        """Draw all figures for people."""
        rows = (
            ("settlements, in batches of 100", f"{self.settlements_per_second:,.0f}", "a second"),
            ("one a call, of the same server", f"{self.wire_per_second:,.0f}", "a second"),
            ("ratio of the two", f"{self.wire_ratio:.2f}", ""),
            ("payments dropped", f"{self.dropped:,}", ""),
            ("payments acknowledged and found in the books", f"{self.acknowledged:,}", ""),
        )
        return _draw("over streams: mutual TLS, one stream a till", rows)


@dataclass(frozen=True, slots=True)
class HotFigures:
    """What `kessai bench hot` measured: settlements a second to one payee, and to many."""

    hot_per_second: float
    uniform_per_second: float

    @property
    def ratio(self) -> float:
        """How many settlements to many payees those to one are."""
        return self.hot_per_second / self.uniform_per_second

    def to_json(self) -> str:
        """Write the figures that are compared from run to run as one JSON object."""
        return json.dumps({"ratio": round(self.ratio, 2)})

    def draw(self) -> Table:
        """Draw all figures for people."""
        rows = (
            ("settlements to one distributed payee", f"{self.hot_per_second:,.0f}", "a second"),
            ("settlements to payees drawn evenly", f"{self.uniform_per_second:,.0f}", "a second"),
            ("ratio of the two", f"{self.ratio:.2f}", ""),
        )
        return _draw("a busy payee, through the shards", rows)


@dataclass(frozen=True, slots=True)
class TapFigures:
    """What `kessai bench tap` measured, over UDP and with air time; `sold` counts warm-up too."""

    p50_ms: float
    p99_ms: float
    p50_air_ms: float
    p99_air_ms: float
    taps: int
    sold: int

    def to_json(self) -> str:
        """Write the figures that are compared from run to run as one JSON object."""
        return json.dumps(
            {
                "p50_ms": round(self.p50_ms, 1),
                "p99_ms": round(self.p99_ms, 1),
                "p99_air_ms": round(self.p99_air_ms, 1),
            }
        )

    def draw(self) -> Table:
        """Draw all figures for people."""
        rows = (
            ("without air time, median", f"{self.p50_ms:.0f}", "ms"),
            ("99 of 100 taps within", f"{self.p99_ms:.0f}", "ms"),
            ("with serial line and air time, median", f"{self.p50_air_ms:.0f}", "ms"),
            ("99 of 100 taps within", f"{self.p99_air_ms:.0f}", "ms"),
            ("taps, all found in the books", f"{self.taps:,}", ""),
        )
        return _draw("from the touch to the till's verdict", rows)


@dataclass(frozen=True, slots=True)
class EngineFigures:
    """What `kessai bench engine` measured; None where there was no PostgreSQL, and the note why."""

    settlements_per_second: float
    postgresql_settlements_per_second: float | None
    pgbench_tps: float | None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """How many transactions of pgbench's the SQLite shards' settlements are."""
        return _ratio(self.settlements_per_second, self.pgbench_tps)

    @property
    def postgresql_ratio(self) -> float | None:
        """The same for the settlements on PostgreSQL shards."""
        return _ratio(self.postgresql_settlements_per_second, self.pgbench_tps)

    def to_json(self) -> str:
        """Write the figures that are compared from run to run as one JSON object."""
        return json.dumps(
            {
                "settlements_per_second": round(self.settlements_per_second),
                "pgbench_tps": _rounded(self.pgbench_tps),
                "ratio": _rounded(self.ratio, 2),
                "postgresql_settlements_per_second": _rounded(
                    self.postgresql_settlements_per_second
                ),
                "postgresql_pgbench_tps": _rounded(self.pgbench_tps),
                "postgresql_ratio": _rounded(self.postgresql_ratio, 2),
            }
        )

    def draw(self) -> Table:
        """Draw all figures for people."""
        rows = (
            ("settlements on SQLite shards", f"{self.settlements_per_second:,.0f}", "a second"),
            *_row("settlements on PostgreSQL", self.postgresql_settlements_per_second, ",.0f"),
            *_row("pgbench's TPC-B on that PostgreSQL", self.pgbench_tps, ",.0f"),
            *_row("SQLite shards to pgbench", self.ratio, ".2f", ""),
            *_row("PostgreSQL shards to pgbench", self.postgresql_ratio, ".2f", ""),
        )
        return _draw("through the shards: signed, posted, chained, durable", rows, self.note)


def percentile(ordered: Sequence[float], percent: int) -> float:
    """Give the smallest value that at least so many percent of a sorted sequence do not exceed."""
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def _ratio(figure: float | None, rival: float | None) -> float | None:
    return figure / rival if figure is not None and rival else None


def _rounded(figure: float | None, digits: int | None = None) -> float | None:
    return None if figure is None else round(figure, digits)


def _row(
    what: str, figure: float | None, digits: str, unit: str = "a second"
) -> Iterator[tuple[str, str, str]]:
    if figure is not None:
        yield what, format(figure, digits), unit


def _draw(title: str, rows: Sequence[tuple[str, str, str]], note: str = "") -> Table:
    table = Table(
        title=title, title_justify="left", box=SIMPLE_HEAD, show_header=False,
        caption=note or None, caption_justify="left",
    )  # fmt: skip
    table.add_column()
    table.add_column(justify="right", style="bold cyan")
    table.add_column(style="bright_black")
    for row in rows:
        table.add_row(*row)
    return table
