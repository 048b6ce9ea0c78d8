"""What the switch counts beside its calls: lines of its log that were lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector


class _CountedElsewhere(Collector):
    """A counter that something else keeps; `read` gives its value."""

    def __init__(self, name: str, documentation: str, read: Callable[[], int]) -> None:
        self._name, self._documentation, self._read = name, documentation, read

    def collect(self) -> Iterator[CounterMetricFamily]:
        """The counter as it is now."""
        yield CounterMetricFamily(self._name, self._documentation, self._read())


class Counters:
    """The counters, in a registry. `log_lines_dropped` counts lines that could not be written."""

    def __init__(self, registry: CollectorRegistry, log_lines_dropped: Callable[[], int]) -> None:
        registry.register(
            _CountedElsewhere(
                "kessai_log_lines_dropped",
                "Lines of the log that could not be written.",
                log_lines_dropped,
            )
        )
