"""Fields by moniker: where the simulated phone can be held to a reader.

udp:127.0.0.1:54321         nfcpy's simulated field; the phone listens on that port
pn532:/tmp/reader           a simulated PN532 chip, offered to the terminal as that serial path
ble:unix:path=/tmp/air,...  a simulated air, or a real one; more in `ble_field`
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from kessai.complaint import Complaint
from simulators.phone.iso_dep import Card
from simulators.phone.pn532_chip import Pn532Chip
from simulators.phone.udp_field import UdpField


class AppCard(Card, Protocol):
    """A card with the phone's app behind it."""

    def close(self) -> None:
        """End it, after what the app still thinks about."""
        ...


class Field(Protocol):
    """The field of one reader."""

    def make_card(self, answer: Callable[[bytes], bytes]) -> AppCard:
        """Make the card that this kind of field takes, with an app that answers so."""
        ...

    def bring(self, card: Card) -> None:
        """Hold a card into the field; Complaint if another phone is in it."""
        ...

    def take_away(self) -> None:
        """Take the card out of the field; nothing if there is none."""
        ...

    def close(self) -> None:
        """Take the card away and let go of the line."""
        ...


def open_field(moniker: str) -> Field:
    """Open the field that a moniker names; Complaint if it names none."""
    kind, _, where = moniker.partition(":")
    if kind == "ble":
        # Only here: a phone on NFC need not load D-Bus.
        from simulators.phone.ble_field import open_ble_field

        return open_ble_field(where)
    host, _, port = where.rpartition(":")
    if kind == "udp" and host and port.isdecimal() and int(port) < 2**16:
        return UdpField(host, int(port))
    if kind == "pn532" and where:
        return Pn532Chip(Path(where))
    raise Complaint(
        f'"{moniker}" is no field: write udp:HOST:PORT, pn532:PATH or ble:BUS,code=CODE.'
    )
