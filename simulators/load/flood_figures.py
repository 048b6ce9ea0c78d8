"""The figures of the flood bench, for people and as JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD

from kessai.console import Table
from simulators.load.attacks import Attack, Struck

LEAST_LIMIT_MS = 25.0


@dataclass(frozen=True, slots=True)
class UnderAttack:
    """What honest terminals saw during an attack; memory in megabytes of 10^6 bytes."""

    p50_ms: float
    p99_ms: float
    rss_growth_mb: float
    struck: Struck


@dataclass(frozen=True, slots=True)
class FloodFigures:
    """What `kessai bench flood` measured."""

    calm_p50_ms: float
    calm_p99_ms: float
    attacks: dict[Attack, UnderAttack]
    dropped: int
    acknowledged: int

    @property
    def p99_ms(self) -> float:
        """99 of 100 honest payments are answered within it during the worst attack."""
        return max(under.p99_ms for under in self.attacks.values())

    @property
    def rss_growth_mb(self) -> float:
        """By how much the switch's memory grew during the attack that needed most."""
        return max(under.rss_growth_mb for under in self.attacks.values())

    @property
    def limit_ms(self) -> float:
        """What `p99_ms` may be."""
        return max(2 * self.calm_p99_ms, LEAST_LIMIT_MS)

    def to_json(self) -> str:
        """Write the figures that are compared from run to run as one JSON object."""
        figures = {
            "p99_ms": round(self.p99_ms, 1),
            "calm_p99_ms": round(self.calm_p99_ms, 1),
            "p99_ratio": round(self.p99_ms / self.calm_p99_ms, 2),
            "p99_to_limit": round(self.p99_ms / self.limit_ms, 2),
            "rss_growth_mb": round(self.rss_growth_mb, 1),
            "dropped": self.dropped,
        }
        for attack, under in self.attacks.items():
            figures[f"{attack}_p99_ms"] = round(under.p99_ms, 1)
            figures[f"{attack}_rss_growth_mb"] = round(under.rss_growth_mb, 1)
        return json.dumps(figures)

    def draw(self) -> Table:
        """Draw all figures for people."""
        table = Table(
            title="what honest terminals see while one is hostile", title_justify="left",
            box=SIMPLE_HEAD, caption_justify="left",
            caption=f"99 of 100 may take {self.limit_ms:.0f} ms. Dropped: {self.dropped:,}. "
            f"Payments found in the books: {self.acknowledged:,}",
        )  # fmt: skip
        table.add_column("attack")
        for title in ("median ms", "99 of 100 ms", "memory, MB", "sent", "refused"):
            table.add_column(title, justify="right", style="bold cyan")
        table.add_row("none", f"{self.calm_p50_ms:.1f}", f"{self.calm_p99_ms:.1f}", "", "", "")
        for attack, under in self.attacks.items():
            table.add_row(
                attack.replace("_", " "), f"{under.p50_ms:.1f}", f"{under.p99_ms:.1f}",
                f"{under.rss_growth_mb:+.0f}", f"{under.struck.sent:,}",
                f"{under.struck.refused:,}",
            )  # fmt: skip
        return table
