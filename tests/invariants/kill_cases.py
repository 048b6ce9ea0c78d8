"""Whom to kill, and after which step: what the kill tests draw their cases from.

KESSAI_KILLS says how many kills each test makes; without it a test makes a few.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from random import Random
from typing import TypeVar

Window = TypeVar("Window")

# So many kills a scene come after each of its steps at least once.
FULL_RUN = 30


def kills(few: int) -> int:
    """Tell how many kills a test makes; `few` of them where nobody said."""
    return int(os.environ.get("KESSAI_KILLS") or few)


def cases(
    dice: Random, victims: Sequence[str], windows: Sequence[Window]
) -> Iterator[tuple[str, Window]]:
    """Give victims in turn, each in all its windows before one comes again; for ever."""
    turns = dice.sample(victims, len(victims))
    left = {victim: _shuffled_for_ever(dice, windows) for victim in turns}
    for victim in itertools.cycle(turns):
        yield victim, next(left[victim])


def _shuffled_for_ever(dice: Random, windows: Sequence[Window]) -> Iterator[Window]:
    while True:
        yield from dice.sample(windows, len(windows))
