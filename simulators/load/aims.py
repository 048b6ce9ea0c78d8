"""What the benches are to reach, and whether they did. Used by `page.py`."""

from __future__ import annotations

from dataclasses import dataclass

from simulators.load.attacks import Attack

Figures = dict[str, float | None]


@dataclass(frozen=True, slots=True)
class Aim:
    """A figure by its key in a bench's JSON; `limit` is what it must at least, or at most, be."""

    key: str
    meaning: str
    limit: float | None = None
    at_least: bool = True

    def row(self, bench: str, figures: Figures) -> str:
        """Write the row of the page's table: what was measured, the aim, met or short."""
        figure = figures[self.key]
        measured = "not measured" if figure is None else f"{figure:,}"
        return f"| {bench} | `{self.key}` | {self.meaning} | {measured} | {self._verdict(figure)} |"

    def _verdict(self, figure: float | None) -> str:
        if self.limit is None:
            return "|"
        aim = f"{'≥' if self.at_least else '≤'} {self.limit:g}"
        if figure is None:
            return f"{aim} | not measured"
        met = figure >= self.limit if self.at_least else figure <= self.limit
        if met:
            return f"{aim} | met"
        short = f" by {abs(figure - self.limit) / self.limit:.0%}" if self.limit else ""
        return f"{aim} | **short{short}**"


AIMS: dict[str, tuple[Aim, ...]] = {
    "engine": (
        Aim("settlements_per_second", "durable settlements a second, SQLite shards"),
        Aim("postgresql_settlements_per_second", "the same on PostgreSQL shards"),
        Aim("pgbench_tps", "pgbench TPC-B on that PostgreSQL, a second"),
        Aim("ratio", "SQLite shards to pgbench; 10 is the aim", 5),
        Aim("postgresql_ratio", "PostgreSQL shards to pgbench", 2),
    ),
    "wire": (
        Aim("settlements_per_second", "signed settlements a second, one a call"),
        Aim("noop_per_second", "no-op calls of the same server, a second"),
        Aim("ratio", "settlements to no-op calls", 0.6),
        Aim("p50_ms", "latency at half of that load, median"),
        Aim("p99_ms", "99 of 100 within", 50, at_least=False),
        Aim("rss_mb", "the server's memory with 100,000 accounts, MB"),
        Aim("dropped", "calls dropped", 0, at_least=False),
    ),
    "stream": (
        Aim("settlements_per_second", "signed settlements a second, 100 a message"),
        Aim("wire_ratio", "to one a call", 4),
    ),
    "flood": (
        Aim("calm_p99_ms", "99 of 100 honest payments within, without an attack"),
        Aim("p99_ms", "99 of 100 within, during the worst of five attacks"),
        Aim("p99_ratio", "the latter to the former"),
        Aim("p99_to_limit", "to the larger of twice calm and 25 ms", 1, at_least=False),
        Aim("rss_growth_mb", "growth of the server's memory in the worst, MB", 50, at_least=False),
        Aim("dropped", "honest calls dropped", 0, at_least=False),
        *(Aim(f"{a}_p99_ms", f"99 of 100 within, during {a.replace('_', ' ')}") for a in Attack),
    ),
    "hot": (Aim("ratio", "one distributed payee to payees drawn evenly", 0.9),),
    "growth": (
        Aim("ratio", "cost of a settlement, to that with 10,000 accounts", 1.15, at_least=False),
        Aim("statement_ratio", "a page of a long statement to one of a short", 1.5, at_least=False),
        Aim("rss_mb", "the server's memory, MB", 300, at_least=False),
    ),
    "recovery": (Aim("restart_s", "seconds from SIGKILL to the next receipt", 2, at_least=False),),
    "tap": (
        Aim("p50_ms", "milliseconds from touch to verdict, median"),
        Aim("p99_ms", "99 of 100 within"),
        Aim("p99_air_ms", "99 of 100 within, with serial line and air", 500, at_least=False),
        Aim("gate_p50_ms", "milliseconds from touch to open barrier, median"),
        Aim("gate_p99_ms", "99 of 100 within", 60, at_least=False),
        Aim("gate_p99_air_ms", "99 of 100 within, with serial line and air", 200, at_least=False),
        Aim("p99_edge_air_ms", "the same, entering without the switch", 150, at_least=False),
        Aim("wrong_decisions", "gates that opened or stayed shut wrongly", 0, at_least=False),
    ),
}
