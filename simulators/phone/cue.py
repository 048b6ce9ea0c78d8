"""A phone that is switched on and in somebody's hand, and is held to the reader at a cue.

For demonstrations: a process takes a second to load, which no customer at a till would wait.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

CUE = "now"
OnCue = Annotated[
    bool, typer.Option("--on-cue", help=f'Begin when standard input says "{CUE}" on a line.')
]


def wait_for_cue() -> None:
    """Wait for the cue; ends with exit code 3 if whoever would give it is gone."""
    for line in sys.stdin:
        if line.strip() == CUE:
            return
    raise typer.Exit(3)
