"""The machine's own display: one line of 32 characters, a longer text in pages, each shown once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from edge_agents.devices import mdb_adapter
from edge_agents.devices.paging import pages_of

TURN_S = 2.0


class MachineDisplay:
    """Says to the machine what it is to show; `say` takes a line for its adapter."""

    def __init__(self, say: Callable[[str], None], turn_s: float = TURN_S) -> None:
        self._say, self._turn_s = say, turn_s
        self._timer: asyncio.TimerHandle | None = None

    def show(self, text: str) -> None:
        """Show a text from now on, its first page at once."""
        self.stop()
        self._show_pages([page[0] for page in pages_of(text, mdb_adapter.MAX_DISPLAY, rows=1)])

    def stop(self) -> None:
        """Show no more pages: the line is gone."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _show_pages(self, pages: list[str]) -> None:
        first, *rest = pages
        self._say(mdb_adapter.display(first))
        if rest:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._turn_s, self._show_pages, rest)
