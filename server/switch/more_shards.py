"""Adding a shard to a switch that runs (row B11): made, opened, written down, and used at once.

The new shard is empty; slots come to it by `rebalance.py`. Called by
`server/rpc/shard_servicer.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from kessai.complaint import Complaint
from server.identity.refusals import Exists, FieldRefused
from server.ledger.chart import MAX_SHARDS
from server.shards.address import ShardAddress
from server.shards.allowed_places import AllowedPlaces
from server.shards.books_file import Books, read_books, write_books
from server.shards.opening import ShardOpener
from server.shards.placement import Moved
from server.shards.remote_shard import AnyShard
from server.shards.router import Shards


class MoreShards:
    """Adds shards, one at a time. `on_added` hears the number of each, on the event loop."""

    def __init__(
        self,
        folder: Path,
        shards: Shards,
        opener: ShardOpener,
        places: AllowedPlaces,
        on_added: Callable[[int], None],
    ) -> None:
        self._folder = folder
        self._shards = shards
        self._opener = opener
        self._places = places
        self._on_added = on_added
        self._lock = asyncio.Lock()

    async def add(self, url: str, request_id: bytes) -> int:
        """Add the shard at an address; its number. The same request again adds nothing.

        FieldRefused if it cannot or may not be made there, Exists if something is there already. If
        the switch is killed in between, the empty shard that was made is taken when the call is
        repeated.
        """
        async with self._lock:
            books = read_books(self._folder)
            key = request_id.hex()
            if key in books.added:
                if books.urls[books.added[key]] != url:
                    raise Exists("this request_id added a shard at another address")
                return books.added[key]
            number = books.shards
            grown = replace(books, urls=(*books.urls, url), added={**books.added, key: number})
            shard, moved = await asyncio.to_thread(self._make, grown)
            # Written on the event loop, as the plan is, so that neither undoes the other.
            plan = read_books(self._folder).plan
            write_books(self._folder, replace(grown, plan=plan))
            self._shards.add(shard, moved)
            self._on_added(number)
            return number

    def _make(self, grown: Books) -> tuple[AnyShard, list[Moved]]:
        if grown.shards > MAX_SHARDS:
            raise FieldRefused("url", f"a switch has at most {MAX_SHARDS} shards")
        try:
            *present, address = grown.addresses(self._folder)
            self._places.check(address, present)
            if not _is_there_and_empty(address):
                address.create()
            shard, moved = self._opener.open(address)
        except Complaint as complaint:
            raise FieldRefused("url", str(complaint)) from None
        return shard, moved


def _is_there_and_empty(address: ShardAddress) -> bool:
    try:
        reader = address.open_reader()
    except Complaint:
        return False
    try:
        if next(iter(reader.log()), None) is not None:
            raise Exists("there is a shard of these books already, and it is not empty")
        return True
    finally:
        reader.close()
