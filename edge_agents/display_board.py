"""What the customer display shows: the pages of the moment in turn, and notices about devices.

The register tells it what to show and never waits for it; a display that is unplugged is written
again when it is back. Every page is written again at its turn, so a display that lost power heals.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from edge_agents.device_care import wait_until_back
from edge_agents.devices.display import Display
from edge_agents.devices.serial_line import DeviceLost
from edge_agents.events import Events
from edge_agents.loops import wait_at_most

TURN_S = 2.0

Page = tuple[str, str]


class DisplayBoard:
    """Keeps a display at what it should show."""

    def __init__(self, display: Display, events: Events, turn_s: float = TURN_S) -> None:
        self._display, self._events, self._turn_s = display, events, turn_s
        self._pages: Sequence[Page] = [("", "")]
        self._notices: dict[str, Page] = {}
        self._turn = 0
        self._changed = asyncio.Event()

    @property
    def pages(self) -> list[Page]:
        """The pages that are shown in turn, notices included."""
        return [*self._pages, *self._notices.values()]

    def show(self, pages: Sequence[Page]) -> None:
        """Show these pages from now on, the first one at once."""
        self._pages, self._turn = pages, 0
        self._changed.set()

    def set_notice(self, about: str, page: Page | None) -> None:
        """Show a page about a device at once and then in turn with the others, or no more."""
        if self._notices.get(about) == page:
            return
        self._notices.pop(about, None)
        if page is not None:
            self._notices[about] = page
            self._turn = len(self._pages) + len(self._notices) - 1
        self._changed.set()

    async def run(self) -> None:
        """Write to the display, for ever."""
        while True:
            self._changed.clear()
            await self._write()
            if not await wait_at_most(self._changed, self._turn_s):
                self._turn += 1

    async def _write(self) -> None:
        upper, lower = self.pages[self._turn % len(self.pages)]
        try:
            await self._display.show(upper, lower)
        except DeviceLost as lost:
            await wait_until_back(self._display, lost, self._events)
            self._changed.set()
