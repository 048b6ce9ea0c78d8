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

from kessai.console import Console, styled
from kessai.plain_text import plain
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
        where = "[bold green]kessai[/] serves {} on [bold]{}[/], pairing on {}, metrics on {}"
        parts = (folder, running.address, running.pairing_address, running.metrics_address)
        Console(stderr=True, soft_wrap=True).print(styled(where, *(p or "none" for p in parts)))
        if config.test_amounts:
            structlog.get_logger().warning(ON)
        await stop.wait()
    finally:
        await switch.stop()


def _on_one_line(
    logger: object, name: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Show what others wrote as plain text, so that nobody writes a line of this log but us."""
    ours = event.pop("exception", None)
    shown = {key: plain(value) if isinstance(value, str) else value for key, value in event.items()}
    return shown if ours is None else {**shown, "exception": ours}


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
            _on_one_line,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
