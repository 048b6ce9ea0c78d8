"""The figures of the benches: how they are computed, shown to people, and written as JSON.

Used by `wire.py`, `tap.py` and `cli.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


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


def percentile(ordered: Sequence[float], percent: int) -> float:
    """Give the smallest value that at least so many percent of a sorted sequence do not exceed."""
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]
