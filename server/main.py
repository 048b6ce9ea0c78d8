"""Runs a switch as a process: event loop, signals, a clean stop. Called by `cli.py`."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
import time
from pathlib import Path

import structlog
import uvloop
from rich.console import Console

from server.bootstrap import Switch
from server.config import ServerConfig
from server.switch.test_amounts import ON

# What a payment makes is freed as it is used up; to look for circles in it costs more than it wins,
# and most of all in what was loaded at the start.
_RARE_COLLECTIONS = (20_000, 20, 50)


def now_us() -> int:
    """Tell the time: microseconds since 1970."""
    return time.time_ns() // 1000


def collect_rarely() -> None:
    """Let Python look for circles in its memory rarely, and never in what is loaded by now."""
    gc.freeze()
    gc.set_threshold(*_RARE_COLLECTIONS)


def run(folder: Path, config: ServerConfig) -> None:
    """Serve until SIGTERM or SIGINT, then drain; Complaint if it cannot start."""
    _set_up_log(config.log_level)
    collect_rarely()
    uvloop.run(_serve(folder, config))


async def _serve(folder: Path, config: ServerConfig) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    switch = Switch(folder, config, now_us, os.urandom)
    try:
        running = await switch.start()
        Console(stderr=True, highlight=False, soft_wrap=True).print(
            f"[bold green]kessai[/] serves {folder} on [bold]{running.address}[/], "
            f"pairing on {running.pairing_address}, metrics on {running.metrics_address or 'none'}"
        )
        if config.test_amounts:
            structlog.get_logger().warning(ON)
        await stop.wait()
    finally:
        await switch.stop()


def _set_up_log(level: str) -> None:
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if sys.stderr.isatty()
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
