"""The concern of telemetry: one log line and the conventional metrics for every call.

A call that went well is logged at debug level, a refused one at info, and one that failed by our
fault at error, so that a busy switch writes little and what it writes is worth reading.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc.aio
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from server.identity.callers import current_device
from server.rpc.call import Call
from server.rpc.errors import code_of

_LABELS = ("grpc_type", "grpc_service", "grpc_method")
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_OURS = {"INTERNAL", "UNAVAILABLE"}
# Of too many calls each is counted, and not logged: that would be one more thing too many.
_QUIET = {"OK", "RESOURCE_EXHAUSTED"}

_log = structlog.get_logger("kessai.rpc")


class Telemetry:
    """Counts, times and logs the calls of a process; both ports share one."""

    def __init__(
        self, registry: CollectorRegistry, rollback_alarms: Callable[[], int] = lambda: 0
    ) -> None:
        """`rollback_alarms` counts the devices that have seen more than this switch has."""
        meaning = "Devices that have seen rows or lists which this switch no longer has."
        alarms = Gauge("kessai_rollback_alarms", meaning, registry=registry)
        alarms.set_function(rollback_alarms)
        self._started = Counter(
            "grpc_server_started", "Calls that began.", _LABELS, registry=registry
        )
        self._handled = Counter(
            "grpc_server_handled", "Calls that ended.", (*_LABELS, "grpc_code"), registry=registry
        )
        self._seconds = Histogram(
            "grpc_server_handling_seconds",
            "How long calls took.",
            _LABELS,
            buckets=_BUCKETS,
            registry=registry,
        )

    @asynccontextmanager
    async def around(
        self, call: Call, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[None]:
        """Serve the call, and tell of it."""
        labels = (call.grpc_type, call.service, call.name)
        self._started.labels(*labels).inc()
        begin, code, why = time.perf_counter(), "OK", ""
        try:
            yield
        except (asyncio.CancelledError, GeneratorExit):
            code = "CANCELLED"
            raise
        except Exception as error:
            code = code_of(error).name
            why = str(error) if code == "UNAVAILABLE" else ""
            raise
        finally:
            seconds = time.perf_counter() - begin
            self._handled.labels(*labels, code).inc()
            self._seconds.labels(*labels).observe(seconds)
            _log_end(call, code, seconds, why)


def _log_end(call: Call, code: str, seconds: float, why: str) -> None:
    level = logging.DEBUG if code in _QUIET else logging.ERROR if code in _OURS else logging.INFO
    milliseconds = round(seconds * 1000, 1)
    cause = {"why": why} if why else {}
    _log.log(
        level,
        "call",
        method=call.method,
        caller=current_device(),
        code=code,
        ms=milliseconds,
        **cause,
    )
