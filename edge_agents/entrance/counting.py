"""Counting who is in: by the venue's hub, for all its doors, or at this door alone.

The entrance asks a `Counter` before it opens, and takes back what did not happen. `DoorCounter` is
this door's own book; the hub's own entrance counts with it too. `hub_line.HubLine` asks a hub.
"""

from __future__ import annotations

from typing import Protocol

from edge_agents.entrance.book import EntranceBook, Entry
from kessai.envelope import read_verified
from kessai.v1.ticket_pb2 import Ticket


class HubAway(Exception):
    """The hub does not answer: nobody knows whether it counted."""


class HubFailed(HubAway):
    """The hub answered with an error: it is there, so no door counts alone on it."""


class Counter(Protocol):
    """Who counts the entries of a venue."""

    async def count_in(self, entry: Entry, admits: int) -> int | None:
        """Count an entry, durably: how many are left, or None if that is more than are left.

        The same entry again gets the first answer. HubAway if there is no answer.
        """
        ...

    async def take_back(self, request_id: bytes) -> None:
        """Take an entry back that did not happen. HubAway if there is no answer."""
        ...


class DoorCounter:
    """Counts in this agent's own book."""

    def __init__(self, book: EntranceBook) -> None:
        self._book = book

    async def count_in(self, entry: Entry, admits: int) -> int | None:
        """Count an entry in the book."""
        return self._book.count_in(entry.request_id, entry.ticket_id, entry.persons, admits)

    async def take_back(self, request_id: bytes) -> None:
        """Take an entry back."""
        self._book.take_back(request_id)


def admits_of(entry: Entry) -> int:
    """Tell how many persons an entry's ticket lets in; it was verified before it was kept."""
    return read_verified(entry.ticket, Ticket).offer.admits
