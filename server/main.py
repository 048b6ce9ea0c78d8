"""Runs a switch as a process: event loop, signals, a clean stop. Called by `cli.py`."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import structlog
import uvloop

from kessai.complaint import Complaint
from kessai.console import Console, styled
from kessai.log_stream import guard_stderr
from server.bootstrap import Switch
from server.config import ServerConfig
from server.shards.process_log import set_up_log
from server.shards.store import StoreUnavailable
from server.switch.test_amounts import ON

# What a payment makes is freed as it is used up; to look for circles in it costs more than it wins,
# and most of all in what was loaded at the start.
_RARE_COLLECTIONS = (20_000, 20, 50)


def now_us() -> int:
    """Tell the time: microseconds since 1970."""
    return time.time_ns() // 1000


def elapsed_us() -> int:
    """Count microseconds since the machine started, sleep included; nobody can set it."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


def collect_rarely() -> None:
    """Let Python look for circles in its memory rarely, and never in what is loaded by now."""
    gc.freeze()
    gc.set_threshold(*_RARE_COLLECTIONS)


def run(folder: Path, config: ServerConfig) -> None:
    """Serve until SIGTERM or SIGINT, then drain; Complaint if it cannot start."""
    stream = guard_stderr()
    set_up_log(logging.getLevelNamesMapping()[config.log_level.upper()], stream)
    collect_rarely()
    try:
        uvloop.run(_serve(folder, config, lambda: stream.dropped))
    except StoreUnavailable as error:
        raise Complaint(
            f"the switch cannot go on: {error}. Nothing acknowledged is lost. Put that right, and "
            "start it again."
        ) from None


async def _serve(folder: Path, config: ServerConfig, lines_dropped: Callable[[], int]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    switch = Switch(folder, config, now_us, os.urandom, elapsed_us, lines_dropped)
    try:
        running = await switch.start()
        if stop.is_set():
            Console(stderr=True).print("kessai: stopped before it served; nothing was booked.")
            return
        where = "[bold green]kessai[/] serves {} on [bold]{}[/], pairing on {}, metrics on {}"
        parts = (folder, running.address, running.pairing_address, running.metrics_address)
        Console(stderr=True, soft_wrap=True).print(styled(where, *(p or "none" for p in parts)))
        if config.test_amounts:
            structlog.get_logger().warning(ON)
        await stop.wait()
    finally:
        await switch.stop()
