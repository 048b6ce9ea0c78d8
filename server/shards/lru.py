"""A bounded cache that forgets what was not asked for longest. Used before the directory.

Not functools.lru_cache: single entries must be forgotten as they change, and what is read from the
database must be put in under the same lock under which changes are written.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class LruCache(Generic[Key, Value]):
    """At most `capacity` values by key, from any thread."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._entries: OrderedDict[Key, Value] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Key) -> Value | None:
        """Find a value."""
        with self._lock:
            value = self._entries.get(key)
            if value is not None:
                self._entries.move_to_end(key)
            return value

    def put(self, key: Key, value: Value) -> Value:
        """Keep a value, and give it back; the one asked for longest ago makes room."""
        with self._lock:
            self._entries[key] = value
            self._entries.move_to_end(key)
            if len(self._entries) > self._capacity:
                self._entries.popitem(last=False)
            return value

    def remove(self, key: Key) -> None:
        """Forget a value."""
        with self._lock:
            self._entries.pop(key, None)
