"""The table of kills: what became of everything that SIGKILL cut, in all scenes of a run.

A kill test adds a line for each kill, by the fixture `kill_table` (`conftest.py`), which shows how
far a long run has come, and the table at its end.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterable

from rich import box
from rich.console import Console
from rich.table import Table

WHOLE, ABSENT = "whole", "absent"
# Only a machine knew what had happened when the agent died: settled by rule, and told to people.
UNSURE = "unsure"
OUTCOMES = (WHOLE, ABSENT, UNSURE)
WIDTH = 78

TITLE = "Ended with SIGKILL, started again, every book verified"


class KillTable:
    """Kills by scene, victim and outcome. `on_kill` hears the scene and victim of each."""

    def __init__(self, on_kill: Callable[[str, str], None] = lambda scene, victim: None) -> None:
        self.on_kill = on_kill
        self._tally: Counter[tuple[str, str, str]] = Counter()

    def add(self, scene: str, victim: str, outcome: str) -> None:
        """Count a kill of a victim, and what became of what it cut: one of OUTCOMES."""
        assert outcome in OUTCOMES
        self._tally[scene, victim, outcome] += 1
        self.on_kill(scene, victim)

    def rows(self) -> list[tuple[str, str, str, int]]:
        """Give scene, victim, outcome and count, for `take` in another process."""
        return [(*key, count) for key, count in self._tally.items()]

    def take(self, rows: Iterable[tuple[str, str, str, int]]) -> None:
        """Add what another process has counted."""
        for scene, victim, outcome, count in rows:
            self._tally[scene, victim, outcome] += count

    def kills(self, scene: str = "") -> int:
        """Count the kills of a scene, or all."""
        return sum(count for (of, *_), count in self._tally.items() if scene in ("", of))

    def draw(self, caption: str, *, colours: bool = False) -> str:
        """Draw the table, with its sums; nothing if nobody was killed."""
        if not self._tally:
            return ""
        table = Table(title=TITLE, caption=caption, box=box.SIMPLE_HEAD, show_footer=True)
        table.add_column("scene", "all", min_width=18)
        table.add_column("killed", min_width=16)
        sums = [self._sum(outcome=outcome) for outcome in OUTCOMES]
        for name, sum_ in zip(("kills", *OUTCOMES), (sum(sums), *sums), strict=True):
            table.add_column(name, _figure(sum_), justify="right", min_width=6)
        for scene in dict.fromkeys(scene for scene, _, _ in self._tally):
            self._draw_scene(table, scene)
        out = io.StringIO()
        Console(file=out, width=WIDTH, force_terminal=colours).print(table)
        return out.getvalue()

    def _draw_scene(self, table: Table, scene: str) -> None:
        name = scene
        for victim in sorted({v for s, v, _ in self._tally if s == scene}):
            counts = [self._tally[scene, victim, outcome] for outcome in OUTCOMES]
            table.add_row(name, victim, *map(_figure, (sum(counts), *counts)))
            name = ""
        table.add_section()

    def _sum(self, outcome: str) -> int:
        return sum(count for (_, _, said), count in self._tally.items() if said == outcome)


def _figure(count: int) -> str:
    return str(count) if count else "·"
