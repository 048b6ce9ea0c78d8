"""What the switch counts beside its calls: failed commands, lost lines of its log, clock jumps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from kessai.v1 import decline_pb2 as d
from server.domain.command import CommandKind
from server.shards.settlement_log import LogRow


class _CountedElsewhere(Collector):
    """A counter that something else keeps; `read` gives its value."""

    def __init__(self, name: str, documentation: str, read: Callable[[], int]) -> None:
        self._name, self._documentation, self._read = name, documentation, read

    def collect(self) -> Iterator[CounterMetricFamily]:
        """The counter as it is now."""
        yield CounterMetricFamily(self._name, self._documentation, self._read())


class Counters:
    """The counters, in a registry. `log_lines_dropped` counts lines that could not be written.

    `clock_jump_us` is by how much the clock jumped; 0 if it did not, and things are booked.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        log_lines_dropped: Callable[[], int],
        clock_jump_us: Callable[[], int],
    ) -> None:
        registry.register(
            _CountedElsewhere(
                "kessai_log_lines_dropped",
                "Lines of the log that could not be written.",
                log_lines_dropped,
            )
        )
        jump = Gauge(
            "kessai_clock_jump_seconds",
            "By how much the clock jumped, while nothing is booked for it; else 0.",
            registry=registry,
        )
        jump.set_function(lambda: clock_jump_us() / 1_000_000)
        self._failed = Counter(
            "kessai_commands_failed",
            "Commands that were declined with SWITCH_FAULT.",
            ("kind",),
            registry=registry,
        )

    def on_written(self, shard: int, rows: Sequence[LogRow]) -> None:
        """Count what a shard has written."""
        for row in rows:
            if row.decline == d.DECLINE_REASON_SWITCH_FAULT:
                self._failed.labels(CommandKind(row.kind).name.lower()).inc()
