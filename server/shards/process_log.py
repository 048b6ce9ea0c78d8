"""The log of a switch's processes: JSON lines on stderr, or text on a terminal.

The switch and the processes that write its shards have the same.
"""

from __future__ import annotations

import logging
from typing import TextIO, cast

import structlog

from kessai.log_stream import LogStream
from kessai.plain_text import plain


def set_up_log(level: int, stream: LogStream) -> None:
    """Send all loggers of this process to a stream, from a level of `logging` on."""
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if stream.isatty()
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
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, stream)),
        cache_logger_on_first_use=True,
    )


def log_level() -> int:
    """The level from which on this process logs."""
    level: int = structlog.get_logger().get_effective_level()
    return level or logging.INFO


def _on_one_line(
    logger: object, name: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Show what others wrote as plain text, so that nobody writes a line of this log but us."""
    ours = event.pop("exception", None)
    shown = {key: plain(value) if isinstance(value, str) else value for key, value in event.items()}
    return shown if ours is None else {**shown, "exception": ours}
