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
from edge_agents.ticket_line import CallFailed, TicketLine
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
        self._told_offers: list[TicketOffer] | None = None
        self._told_fresh: bool | None = None
        self.is_fresh = False
        self.on_change: Callable[[], None] = lambda: None

    def on_sale(self) -> list[TicketOffer]:
        """List the offers whose time is not over, by offer_id; keys name the place, from 1."""
        now_us = self._now_us()
        return [o for o in self._all.offers if o.valid_until_time.ToMicroseconds() > now_us]

    def refresh(self) -> None:
        """Ask the switch now, and tell what it says; until it has answered nothing is sold."""
        self.is_fresh, self._told_offers = False, None
        self._wake.set()

    async def run(self) -> None:
        """Keep the offers as the switch has them, for ever."""
        while True:
            self._wake.clear()
            try:
                self._take(await self._line.offers())
                self._tell()
            except CallFailed as failed:
                self.is_fresh = False
                self._tell(str(failed))
            await wait_at_most(self._wake, self._every_s if self.is_fresh else RETRY_S)

    def _take(self, offers: list[TicketOffer]) -> None:
        listed = ListTicketOffersResponse(offers=offers)
        if listed != self._all:
            write_durably(self._path, listed.SerializeToString(deterministic=True))
            self._all = listed
        self.is_fresh = True

    def _tell(self, why: str = "") -> None:
        """Tell what is other than it was told last; time alone takes offers away, too."""
        on_sale = self.on_sale()
        told = (self._told_fresh, self._told_offers)
        if on_sale != self._told_offers:
            self._events.emit("offers_changed", count=len(on_sale))
        if self.is_fresh is not self._told_fresh:
            if self.is_fresh:
                self._events.emit("offers_taken")
            else:
                self._events.emit("offers_stale", why=why)
        self._told_fresh, self._told_offers = self.is_fresh, on_sale
        if told != (self.is_fresh, on_sale):
            self.on_change()


def _read(path: Path) -> ListTicketOffersResponse:
    try:
        return ListTicketOffersResponse.FromString(path.read_bytes())
    except (OSError, DecodeError):
        return ListTicketOffersResponse()
