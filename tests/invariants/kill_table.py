"""Tables of kills: outcomes of everything that SIGKILL cut, and the steps after which it came.

A kill test names the steps of its scene, then adds a line for each kill, by the fixture
`kill_table` (`conftest.py`), which shows the progress of a long run, and the tables at its end.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterable

from rich import box
from rich.console import Console
from rich.table import Table

from tests.invariants.kill_cases import FULL_RUN

WHOLE, ABSENT = "whole", "absent"
# Only a machine knew what had happened when the agent died: settled by rule, and told to people.
UNSURE = "unsure"
OUTCOMES = (WHOLE, ABSENT, UNSURE)
WIDTH = 78

TITLE = "Ended with SIGKILL, started again, every book verified"
STEPS_TITLE = "The step that was told last before each kill"
NEVER = "[red]never[/red]"

Row = tuple[str, str, str, str, int]


class KillTable:
    """Kills by scene, victim and outcome. `on_kill` hears the scene and victim of each."""

    def __init__(self, on_kill: Callable[[str, str], None] = lambda scene, victim: None) -> None:
        self.on_kill = on_kill
        self._tally: Counter[tuple[str, str, str, str]] = Counter()

    def expect(self, scene: str, steps: Iterable[str]) -> None:
        """Name the steps of a scene after which a kill is to come."""
        for step in steps:
            self._tally[scene, "", step, ""] += 0

    def add(self, scene: str, victim: str, step: str, outcome: str) -> None:
        """Count a kill of a victim after a step, and the outcome of what it cut: of OUTCOMES."""
        assert outcome in OUTCOMES
        self._tally[scene, victim, step, outcome] += 1
        self.on_kill(scene, victim)

    def rows(self) -> list[Row]:
        """The counts by scene, victim, step and outcome, for `take` in another process."""
        return [(*key, count) for key, count in self._tally.items()]

    def take(self, rows: Iterable[Row]) -> None:
        """Add the counts of another process."""
        for scene, victim, step, outcome, count in rows:
            self._tally[scene, victim, step, outcome] += count

    def kills(self, scene: str = "") -> int:
        """The number of kills of a scene, or of all."""
        return sum(count for (of, *_), count in self._tally.items() if scene in ("", of))

    def missed(self) -> list[tuple[str, str]]:
        """Scenes and steps that were expected and after which nobody was killed."""
        return [key for key, count in self._by_step().items() if not count]

    def draw(self, caption: str, *, colours: bool = False) -> str:
        """Draw both tables, with their sums; nothing if nobody was killed."""
        if not self.kills():
            return ""
        table = Table(title=TITLE, caption=caption, box=box.SIMPLE_HEAD, show_footer=True)
        table.add_column("scene", "all", min_width=18)
        table.add_column("killed", min_width=16)
        sums = [self._sum("", "", outcome) for outcome in OUTCOMES]
        for name, sum_ in zip(("kills", *OUTCOMES), (sum(sums), *sums), strict=True):
            table.add_column(name, _figure(sum_), justify="right", min_width=6)
        for scene in self._scenes():
            self._draw_scene(table, scene)
        out = io.StringIO()
        console = Console(file=out, width=WIDTH, force_terminal=colours)
        console.print(table)
        console.print(self._steps())
        return out.getvalue()

    def _steps(self) -> Table:
        table = Table(title=STEPS_TITLE, box=box.SIMPLE_HEAD)
        table.add_column("scene", min_width=18)
        table.add_column("after", min_width=24)
        table.add_column("kills", justify="right", min_width=6)
        by_step = self._by_step()
        for scene in self._scenes():
            name = scene
            for step in (step for of, step in by_step if of == scene):
                count = by_step[scene, step]
                is_full = self.kills(scene) >= FULL_RUN
                table.add_row(name, step, _figure(count) if count or not is_full else NEVER)
                name = ""
            table.add_section()
        return table

    def _by_step(self) -> Counter[tuple[str, str]]:
        by_step: Counter[tuple[str, str]] = Counter()
        for (scene, _, step, _), count in self._tally.items():
            by_step[scene, step] += count
        return by_step

    def _scenes(self) -> list[str]:
        return list(dict.fromkeys(scene for scene, *_ in self._tally))

    def _draw_scene(self, table: Table, scene: str) -> None:
        name = scene
        for victim in sorted({v for s, v, *_ in self._tally if s == scene and v}):
            counts = [self._sum(scene, victim, outcome) for outcome in OUTCOMES]
            table.add_row(name, victim, *map(_figure, (sum(counts), *counts)))
            name = ""
        table.add_section()

    def _sum(self, scene: str, victim: str, outcome: str) -> int:
        return sum(
            count
            for (of, killed, _, said), count in self._tally.items()
            if said == outcome and scene in ("", of) and victim in ("", killed)
        )


def _figure(count: int) -> str:
    return str(count) if count else "·"
