"""The deny list: what terminals turn away while they cannot ask, and who hears of it at once.

Credentials of revoked phones, and tickets that were revoked or paid back. Terminals keep a copy
(`edge_agents/deny_list.py`), which `server/rpc/fleet_servicer.py` keeps up to date. An entry is
dropped from what is told once what it denies has expired anyway.
"""

from __future__ import annotations

from collections.abc import Callable

from server.domain.directory import DenyEntry, DenyKind
from server.shards.deny_book import DenyBook

PAGE = 1000


class DenyList:
    """What is denied. Methods may run in any thread, but for those that say otherwise."""

    def __init__(self, book: DenyBook, now_us: Callable[[], int]) -> None:
        self._book, self._now_us = book, now_us
        self._listeners: set[Callable[[], None]] = set()

    def deny(self, kind: DenyKind, entry_id: bytes, expire_us: int) -> None:
        """Deny something until it would have expired anyway; durable, then told. Again: nothing."""
        self._book.add(kind, entry_id, expire_us)
        for listener in tuple(self._listeners):
            listener()

    def is_denied(self, kind: DenyKind, entry_id: bytes) -> bool:
        """Tell whether something was denied."""
        return self._book.holds(kind, entry_id)

    def page_after(self, version: int) -> tuple[list[DenyEntry], int]:
        """List what is new after a version, at most PAGE entries, and the version that it makes."""
        newest = self._book.version()  # read first: what is denied meanwhile belongs to the next
        entries = self._book.after(version, self._now_us(), PAGE)
        if len(entries) == PAGE:
            return entries, entries[-1].version
        return entries, max([newest, *(entry.version for entry in entries)])

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Have a listener called, from any thread, after every change; what ends it comes back."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)
