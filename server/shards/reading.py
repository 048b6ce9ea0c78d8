"""A shard's reads: what people look at, on a lane of its own, so that writes never wait for them.

Used by `shard.py` and `remote_shard.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from server.shards.lane import Lane
from server.shards.store import Reader

Found = TypeVar("Found")


class Reading:
    """Looks into one shard, a group of looks at a time."""

    def __init__(self, shard: int, reader: Reader) -> None:
        self._reader = reader
        self._closed = False
        self._lane = Lane[Callable[[Reader], object], object](f"reads-{shard}", self._look)

    async def read(self, look: Callable[[Reader], Found]) -> Found:
        """Look into what is committed; StoreUnavailable if the database cannot."""
        return await self._lane.submit(look)  # type: ignore[return-value]

    def close(self) -> None:
        """Answer what has queued up, then close the connection."""
        if not self._closed:
            self._closed = True
            self._lane.close()
            self._reader.close()

    def _look(self, looks: list[Callable[[Reader], object]]) -> list[object | Exception]:
        answers: list[object | Exception] = []
        for look in looks:
            try:
                answers.append(look(self._reader))
            except Exception as error:
                answers.append(error)
        return answers
