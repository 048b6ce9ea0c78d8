"""The shelf: what the venue has on sale, as the switch said last, kept in the machine's folder.

Asked by `machine`. Offers are shown also while the switch is out of reach, but sold only while the
latest question was answered, because the switch signs the tickets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from google.protobuf.message import DecodeError

from edge_agents.events import Events
from edge_agents.loops import wait_at_most
from edge_agents.ticket_line import SwitchAway, TicketLine
from kessai.durable_file import write_durably
from kessai.v1.ticket_pb2 import ListTicketOffersResponse, TicketOffer

FILE_NAME = "offers.binpb"
RETRY_S = 1.0


class Shelf:
    """The offers of one venue."""

    def __init__(
        self,
        folder: Path,
        line: TicketLine,
        every_s: float,
        events: Events,
        now_us: Callable[[], int],
    ) -> None:
        """Read what was kept; what cannot be read counts as nothing, and is fetched again."""
        self._path, self._line, self._every_s = folder / FILE_NAME, line, every_s
        self._events, self._now_us = events, now_us
        self._wake = asyncio.Event()
        self._all = _read(self._path)
        self.is_fresh = False
        self._is_in_touch: bool | None = None
        self.on_change: Callable[[], None] = lambda: None

    def on_sale(self) -> list[TicketOffer]:
        """List the offers whose time is not over, by offer_id; keys name the place, from 1."""
        now_us = self._now_us()
        return [o for o in self._all.offers if o.valid_until_time.ToMicroseconds() > now_us]

    def refresh(self) -> None:
        """Ask the switch now; until it has answered nothing is sold."""
        self.is_fresh = False
        self._wake.set()

    async def run(self) -> None:
        """Keep the offers as the switch has them, for ever."""
        shown = None
        while True:
            self._wake.clear()
            await self._fetch()
            now = (self.is_fresh, self.on_sale())
            if now != shown:
                self.on_change()
            shown = now
            await wait_at_most(self._wake, self._every_s if self.is_fresh else RETRY_S)

    async def _fetch(self) -> None:
        try:
            offers = ListTicketOffersResponse(offers=await self._line.offers())
        except SwitchAway as away:
            if self._is_in_touch is not False:
                self._events.emit("offers_stale", why=str(away))
            self.is_fresh = self._is_in_touch = False
            return
        if offers != self._all:
            write_durably(self._path, offers.SerializeToString(deterministic=True))
            self._all = offers
            self._events.emit("offers_changed", count=len(self.on_sale()))
        if not self._is_in_touch:
            self._events.emit("offers_taken", count=len(self.on_sale()))
        self.is_fresh = self._is_in_touch = True


def _read(path: Path) -> ListTicketOffersResponse:
    try:
        return ListTicketOffersResponse.FromString(path.read_bytes())
    except (OSError, DecodeError):
        return ListTicketOffersResponse()
