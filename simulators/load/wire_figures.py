"""The figures of the benches over the wire and at the counter, for people and as JSON.

Used by `wire.py`, `stream.py`, `tap.py` and `cli.py`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from kessai.console import Table
from simulators.load.figures import draw_table


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
        return draw_table("over the wire: mutual TLS, 64 calls in flight", rows)


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
        return draw_table("over streams: mutual TLS, one stream a till", rows)


@dataclass(frozen=True, slots=True)
class GateFigures:
    """What the gate bench measured, from touch to open barrier; None: not measured."""

    gate_p50_ms: float
    gate_p99_ms: float
    gate_p99_air_ms: float | None
    p99_edge_air_ms: float | None
    passages: int
    wrong_decisions: int

    def figures(self) -> dict[str, float | None]:
        """Give the figures that are compared from run to run."""
        return {
            key: value if value is None else round(value, 1) for key, value in asdict(self).items()
        }

    def to_json(self) -> str:
        """Write them as one JSON object."""
        return json.dumps(self.figures())

    def draw(self) -> Table:
        """Draw all figures for people."""

        def shown(value: float | None) -> str:
            return "not measured" if value is None else f"{value:.0f}"

        rows = (
            ("without air time, median", shown(self.gate_p50_ms), "ms"),
            ("99 of 100 gates open within", shown(self.gate_p99_ms), "ms"),
            ("with serial line and air time, 99 of 100", shown(self.gate_p99_air_ms), "ms"),
            ("the same, entering without the switch", shown(self.p99_edge_air_ms), "ms"),
            ("passages", f"{self.passages:,}", ""),
            ("wrong decisions", f"{self.wrong_decisions:,}", ""),
        )
        return draw_table("from the touch to the open barrier", rows)


@dataclass(frozen=True, slots=True)
class TapFigures:
    """What `kessai bench tap` measured, over UDP and with air time; `sold` counts warm-up too."""

    p50_ms: float
    p99_ms: float
    p50_air_ms: float
    p99_air_ms: float
    taps: int
    sold: int
    gates: GateFigures | None = None

    def to_json(self) -> str:
        """Write the figures that are compared from run to run as one JSON object."""
        return json.dumps(
            {
                "p50_ms": round(self.p50_ms, 1),
                "p99_ms": round(self.p99_ms, 1),
                "p99_air_ms": round(self.p99_air_ms, 1),
                **(self.gates.figures() if self.gates is not None else {}),
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
        return draw_table("from the touch to the till's verdict", rows)
