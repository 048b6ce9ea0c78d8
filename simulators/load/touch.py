"""The moment of a touch: a field that remembers it, and a radio that tells when it is ready for it.

Until a reader is sure that the last phone has left, a new one waits; that is not what the benches
measure. Used by `counter.py` and `station.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import perf_counter

from edge_agents.links.message_link import MessageLink, Radio
from simulators.phone.field import AppCard, Field
from simulators.phone.iso_dep import Card


class WatchedRadio:
    """A radio that tells while it is searching: the phone of the last tap was seen to leave."""

    def __init__(self, radio: Radio) -> None:
        self._radio = radio
        self.searching = asyncio.Event()

    @property
    def code(self) -> str | None:
        """The code that phones need, if any."""
        return self._radio.code

    @property
    def is_ready(self) -> bool:
        """Whether the reader works."""
        return self._radio.is_ready

    def new_code(self) -> None:
        """Begin something new."""
        self._radio.new_code()

    async def wait_for_phone(self, timeout_s: float) -> MessageLink | None:
        """Wait for a phone."""
        self.searching.set()
        link = await self._radio.wait_for_phone(timeout_s)
        if link is not None:
            self.searching.clear()
        return link

    async def wait_until_gone(self, timeout_s: float) -> bool:
        """Wait until the field is empty."""
        return await self._radio.wait_until_gone(timeout_s)

    async def close(self) -> None:
        """Let go of the reader."""
        await self._radio.close()


class WatchedField:
    """A field that remembers when the phone was brought, on the `perf_counter` clock."""

    def __init__(self, field: Field) -> None:
        self._field = field
        self.touched = 0.0

    def make_card(self, answer: Callable[[bytes], bytes]) -> AppCard:
        """Make the card that this kind of field takes."""
        return self._field.make_card(answer)

    def bring(self, card: Card) -> None:
        """Start the watch, and hold a card into the field."""
        self.touched = perf_counter()
        self._field.bring(card)

    def take_away(self) -> None:
        """Take the card out of the field."""
        self._field.take_away()

    def close(self) -> None:
        """Let go of the line."""
        self._field.close()
