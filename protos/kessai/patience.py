"""What a command waits for, said once on stderr when it has been silent for some seconds."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

PATIENCE_S = 3.0

_told: set[str] = set()


@contextmanager
def told_if_slow(what: str) -> Iterator[None]:
    """Say "waiting for ..." unless it is over in three seconds; of the same thing only once."""
    timer = threading.Timer(PATIENCE_S, _tell, (what,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _tell(what: str) -> None:
    from kessai.console import Console  # an agent that never waits loads none of it

    if what not in _told:
        _told.add(what)
        Console(stderr=True, soft_wrap=True).print(f"kessai: waiting for {what} ...")
