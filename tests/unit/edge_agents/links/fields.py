"""The simulated fields with a card that echoes, for the tests of the terminal's radio."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from edge_agents.links.message_link import MessageLink, Radio
from edge_agents.links.radio import open_radio
from kessai.complaint import Complaint
from simulators.air.air import Air
from simulators.phone.field import AppCard, Field, open_field
from simulators.phone.iso_dep import Card
from simulators.town import free_udp_port

PATIENCE_S = 10.0


def reversed_bytes(message: bytes) -> bytes:
    """Answer a message so that the answer is not the message."""
    return message[::-1]


class Ground:
    """One field, the terminal's radio at one side of it and phones at the other."""

    def __init__(self, moniker: str) -> None:
        self.port = int(moniker.rpartition(":")[2]) if moniker.startswith("udp") else 0
        self._cards: list[AppCard] = []
        self.field: Field = open_field(moniker)
        try:
            self.radio: Radio = open_radio(moniker)
        except Complaint:
            self.field.close()
            raise

    def phone(self, answer: Callable[[bytes], bytes] = reversed_bytes) -> AppCard:
        """Make a phone whose app answers so; it is not in the field yet."""
        card = self.field.make_card(answer)
        self._cards.append(card)
        return card

    async def tap(self, card: Card | None = None) -> MessageLink:
        """Hold a phone into the field and wait until the terminal has found it."""
        self.field.bring(card or self.phone())
        link = await self.radio.wait_for_phone(PATIENCE_S)
        assert link is not None
        return link

    async def close(self) -> None:
        """Put everything away, and see that no thread of it stays."""
        await self.radio.close()
        self.field.close()
        for card in self._cards:
            card.close()
        names = {thread.name.split("_")[0] for thread in threading.enumerate()}
        assert not names & {"nfc-reader", "phone-app", "udp-field", "ble-field", "reader"}


@asynccontextmanager
async def ground(kind: str, folder: Path) -> AsyncIterator[Ground]:
    """Make a field of a kind: "udp", "pn532" or "ble"."""
    air = Air(folder / "air") if kind == "ble" else None
    where = {
        "udp": f"udp:127.0.0.1:{free_udp_port()}",
        "pn532": f"pn532:{folder / 'reader'}",
        "ble": f"ble:unix:path={folder / 'air'},code=0417",
    }
    made = Ground(where[kind])
    try:
        yield made
    finally:
        await made.close()
        if air is not None:
            air.close()
