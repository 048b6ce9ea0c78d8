"""Processes of the benches, that fill books, sign payments and audit while the clock stands still.

All are forked from one that has loaded what they need, so that starting them costs nothing. Used by
`account_store.py` and `tills.py`.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

PROCESSES = 2

_LOADED = ["simulators.load.audit", "simulators.load.payments", "simulators.load.settlements"]


def start_processes(prepare: Callable[..., None], *words: object) -> ProcessPoolExecutor:
    """Start PROCESSES processes; each calls `prepare(*words)` before its first work."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["__main__", *_LOADED])
    return ProcessPoolExecutor(PROCESSES, context, initializer=prepare, initargs=words)


def die_quietly() -> None:
    """Let Ctrl-C end a process of a pool without a word; what it was doing is not kept."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
