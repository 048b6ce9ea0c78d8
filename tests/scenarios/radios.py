"""The radios that a scenario is played on: NFC over nfcpy's field, BLE over a simulated air.

`conftest.py` makes fixtures of them. A terminal and the phones that are held to it are given the
same moniker; nothing else in a scenario knows which radio it is.

A row is walked on both radios. What is refused is refused above them, so each refusal is played on
one, `OVER_NFC` and `OVER_BLE` in turn.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest

from simulators.air.air import Air as BleAir
from simulators.town import free_udp_port
from tests.scenarios.wires import Air as NfcAir


class Reach(Protocol):
    """A reader whose phones a test can take out of its reach, and bring back."""

    reader: str
    field: str

    def shut(self) -> None:
        """Carry nothing any more."""
        ...

    def open(self) -> None:
        """Carry again."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class Radio(Protocol):
    """One kind of radio; `kind` is "nfc" or "ble"."""

    kind: str

    def reader(self, *, code: bool = True) -> str:
        """Give the moniker of a new reader, and of its field.

        A code of four digits stands in it if there is one; without, the terminal must show one.
        """
        ...

    def reach(self) -> Reach:
        """Give a new reader that can be interrupted."""
        ...

    def close(self) -> None:
        """End what is behind it."""
        ...


class Nfc:
    """nfcpy's field: a port a reader."""

    kind = "nfc"

    def __init__(self, folder: Path) -> None:
        """Nothing is kept in the folder."""

    def reader(self, *, code: bool = True) -> str:
        """Give the moniker of a new reader."""
        return f"udp:127.0.0.1:{free_udp_port()}"

    def reach(self) -> Reach:
        """Give a new reader that can be interrupted."""
        return NfcAir(self.reader(), free_udp_port())

    def close(self) -> None:
        """Nothing is behind it."""


class BleReach:
    """An air of its own for one reader."""

    def __init__(self, path: Path, code: str) -> None:
        self._air = BleAir(path)
        self.reader = self.field = f"{self._air.moniker},code={code}"
        self.shut, self.open, self.close = self._air.shut, self._air.open, self._air.close


class Ble:
    """One air in which every terminal has a code of its own."""

    kind = "ble"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.air = BleAir(folder / "air")
        self._codes: Callable[[], int] = itertools.count(1).__next__

    def reader(self, *, code: bool = True) -> str:
        """Give the moniker of a new reader; without a code the terminal draws its own."""
        return f"{self.air.moniker},code={self._codes():04}" if code else self.air.moniker

    def reach(self) -> Reach:
        """Give a new reader that can be interrupted."""
        number = self._codes()
        return BleReach(self._folder / f"air-{number}", f"{number:04}")

    def close(self) -> None:
        """End the air."""
        self.air.close()


KINDS: dict[str, Callable[[Path], Radio]] = {"nfc": Nfc, "ble": Ble}

OVER_NFC = pytest.mark.parametrize("radio", ["nfc"], indirect=True)
OVER_BLE = pytest.mark.parametrize("radio", ["ble"], indirect=True)
