"""The table of kills: what became of everything that SIGKILL cut, in all scenes of a run.

A kill test adds a line for each kill, by the fixture `kill_table` (`conftest.py`), which shows the
table at the end of the run.
"""

from __future__ import annotations

from collections import Counter

WHOLE, ABSENT = "whole", "absent"
# Only a machine knew what had happened when the agent died: settled by rule, and told to people.
UNSURE = "unsure"
OUTCOMES = (WHOLE, ABSENT, UNSURE)


class KillTable:
    """Kills by scene, victim and outcome."""

    def __init__(self) -> None:
        self._tally: Counter[tuple[str, str, str]] = Counter()

    def add(self, scene: str, victim: str, outcome: str) -> None:
        """Count a kill of a victim, and what became of what it cut: one of OUTCOMES."""
        assert outcome in OUTCOMES
        self._tally[scene, victim, outcome] += 1

    def lines(self) -> list[str]:
        """Write the table, with its sums; nothing if nobody was killed."""
        if not self._tally:
            return []
        pairs = sorted({(scene, victim) for scene, victim, _ in self._tally})
        rows = (
            _row(*pair, *(self._tally[*pair, outcome] for outcome in OUTCOMES)) for pair in pairs
        )
        sums = (sum(self._of(outcome)) for outcome in OUTCOMES)
        head = f"{'scene':<20}{'victim':<12}{'kills':>8}" + "".join(f"{o:>8}" for o in OUTCOMES)
        return [head, *rows, _row("all", "", *sums)]

    def _of(self, outcome: str) -> list[int]:
        return [count for (_, _, said), count in self._tally.items() if said == outcome]


def _row(scene: str, victim: str, *counts: int) -> str:
    return f"{scene:<20}{victim:<12}{sum(counts):>8}" + "".join(f"{count:>8}" for count in counts)
