"""The figures of the benches of the account store, for people and as JSON.

Used by `engine.py`, `hot.py`, `growth.py`, `recovery.py` and `cli.py`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from kessai.console import Table
from simulators.load.figures import draw_table, ratio_of, rounded, row


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
        return ratio_of(self.settlements_per_second, self.pgbench_tps)

    @property
    def postgresql_ratio(self) -> float | None:
        """The same for the settlements on PostgreSQL shards."""
        return ratio_of(self.postgresql_settlements_per_second, self.pgbench_tps)

    def to_json(self) -> str:
        """Write the figures that are compared from run to run as one JSON object."""
        return json.dumps(
            {
                "settlements_per_second": round(self.settlements_per_second),
                "pgbench_tps": rounded(self.pgbench_tps),
                "ratio": rounded(self.ratio, 2),
                "postgresql_settlements_per_second": rounded(
                    self.postgresql_settlements_per_second
                ),
                "postgresql_pgbench_tps": rounded(self.pgbench_tps),
                "postgresql_ratio": rounded(self.postgresql_ratio, 2),
            }
        )

    def draw(self) -> Table:
        """Draw all figures for people."""
        rows = (
            ("settlements on SQLite shards", f"{self.settlements_per_second:,.0f}", "a second"),
            *row("settlements on PostgreSQL", self.postgresql_settlements_per_second, ",.0f"),
            *row("pgbench's TPC-B on that PostgreSQL", self.pgbench_tps, ",.0f"),
            *row("SQLite shards to pgbench", self.ratio, ".2f", ""),
            *row("PostgreSQL shards to pgbench", self.postgresql_ratio, ".2f", ""),
        )
        return draw_table("through the shards: signed, posted, chained, durable", rows, self.note)


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
        return draw_table("a busy payee, through the shards", rows)


@dataclass(frozen=True, slots=True)
class GrowthFigures:
    """What `kessai bench growth` measured; memory in megabytes of 10^6 bytes.

    `ratio` is what a settlement costs with so many accounts to what it costs with 10,000, and
    `statement_ratio` what a page of a long statement takes to what one of a short does.
    """

    accounts: int
    ratio: float
    statement_ratio: float
    rss_mb: float
    statement_ms: float
    read_p99_ms: float
    loaded_read_p99_ms: float

    def to_json(self) -> str:
        """Write the figures that are compared from run to run as one JSON object."""
        return json.dumps(
            {
                "ratio": round(self.ratio, 2),
                "statement_ratio": round(self.statement_ratio, 2),
                "rss_mb": round(self.rss_mb, 1),
            }
        )

    def draw(self) -> Table:
        """Draw all figures for people."""
        rows = (
            (f"a settlement with {self.accounts:,} accounts costs", f"{self.ratio:.2f}", "times"),
            ("a page of a long statement takes", f"{self.statement_ratio:.2f}", "times a short's"),
            ("which is", f"{self.statement_ms:.1f}", "ms"),
            ("99 of 100 reads take, at rest", f"{self.read_p99_ms:.1f}", "ms"),
            ("99 of 100 reads take, at full load", f"{self.loaded_read_p99_ms:.1f}", "ms"),
            ("the server's memory", f"{self.rss_mb:.0f}", "MB"),
        )
        return draw_table("with many accounts, and with long histories", rows)


@dataclass(frozen=True, slots=True)
class RecoveryFigures:
    """What `kessai bench recovery` measured, in seconds; the rows are those of all logs."""

    restart_s: float
    slowest_s: float
    rows: int
    verify_s: float
    acknowledged: int

    def to_json(self) -> str:
        """Write the figures that are compared from run to run as one JSON object."""
        return json.dumps({"restart_s": round(self.restart_s, 2)})

    def draw(self) -> Table:
        """Draw all figures for people."""
        rows = (
            ("from SIGKILL to the next receipt, median", f"{self.restart_s:.2f}", "s"),
            ("the slowest", f"{self.slowest_s:.2f}", "s"),
            ("rows in the log", f"{self.rows:,}", ""),
            ("verifying them takes", f"{self.verify_s:.1f}", "s"),
            ("payments acknowledged and found in the books", f"{self.acknowledged:,}", ""),
        )
        return draw_table("SIGKILL under load", rows)
