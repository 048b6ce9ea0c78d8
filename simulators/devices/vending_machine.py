"""A vending machine: selections with prices and stock, a motor for each, a display, and a tray.

The machine is the master of its MDB bus: it resets and polls the cashless reader in its adapter,
asks it for money when something is selected, and turns a motor when it approves. Faults are
switched on as attributes or by words (`obey`). Used by `kessai simulate vending`, demonstrations
and tests.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from simulators.devices import mdb
from simulators.devices.cashless_adapter import CashlessAdapter
from simulators.devices.mdb import Garbled

COLUMNS = 32
_TICK_S = 0.01
_TRIES = 5


@dataclass
class Shelf:
    """One selection: what lies there, its price in minor units, and how many are left."""

    name: str
    price_minor: int
    stock: int


def default_shelves() -> dict[int, Shelf]:
    """Stock a machine with what such machines sell."""
    return {
        7: Shelf("Sparkling water", 150, 8),
        8: Shelf("Orange juice", 220, 5),
        12: Shelf("Chocolate bar", 130, 9),
        13: Shelf("Salted nuts", 180, 0),
        21: Shelf("Cheese sandwich", 450, 3),
    }


class VendingMachine:
    """A machine whose adapter is on a pty in a folder; `on_change` is called when it changed.

    `wait_s` is how long it waits for the reader's approval, `motor_s` how long a motor turns.
    """

    def __init__(
        self,
        path: Path,
        random_bytes: Callable[[int], bytes],
        on_change: Callable[[], None] = lambda: None,
        wait_s: float = 60.0,
        motor_s: float = 0.3,
    ) -> None:
        self.shelves, self.tray = default_shelves(), list[str]()
        self.adapter = CashlessAdapter(path, random_bytes)
        self.jammed = self.noisy = False
        self.wait_s, self.motor_s = wait_s, motor_s
        self.state = "starting"
        self._text, self._on_change = "", on_change
        self._noise = 0
        self._selected: int | None = None
        self._chosen: int | None = None
        self._until = 0.0
        self._does_reset = self._does_enable = self._cancelled = False
        self._stopping = threading.Event()
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="vmc", daemon=True)
        self._thread.start()

    @property
    def text(self) -> str:
        """What the display shows."""
        return self._text

    def select(self, number: int) -> None:
        """Press a selection's key."""
        self._chosen = number

    def cancel(self) -> None:
        """Press the machine's cancel key."""
        self._cancelled = True

    def reset(self) -> None:
        """Cut the machine's power for a moment: it forgets what it was doing."""
        self._does_reset = True

    def enable_again(self) -> None:
        """Enable the reader once more, whatever goes on; a motor that turns goes on."""
        self._does_enable = True

    def wait_for(self, holds: Callable[[], bool], timeout_s: float = 20.0) -> None:
        """Wait until something holds of the machine; TimeoutError with what it shows if not."""
        with self._changed:
            if not self._changed.wait_for(holds, timeout_s):
                raise TimeoutError(f'it is {self.state} and shows "{self.text}": {self.tray}')

    def close(self) -> None:
        """Switch it off."""
        self._stopping.set()
        self._thread.join()
        self.adapter.line.unplug()

    # The master's loop.

    def _run(self) -> None:
        while not self._stopping.wait(_TICK_S):
            if self._does_reset:
                self._does_reset, self._selected = False, None
                self._become("starting")
                self._show("")
            if self._does_enable:
                self._does_enable = False
                self._send(bytes([mdb.READER, mdb.ENABLE]))
            steps = {
                "starting": self._begin, "ready": self._look_at_keys,
                "asking": self._look_at_time, "giving out": self._look_at_motor,
            }  # fmt: skip
            steps[self.state]()
            self._poll()

    def _begin(self) -> None:
        reset = self._send(bytes([mdb.RESET]))
        columns = bytes([mdb.SETUP, mdb.CONFIG, 1, COLUMNS // 2, 2, 1])
        prices = bytes([mdb.SETUP, mdb.PRICES, 0xFF, 0xFF, 0, 0])
        if reset is None or not self._send(columns) or self._send(prices) is None:
            return
        if self._send(bytes([mdb.READER, mdb.ENABLE])) is not None:
            self._become("ready")
            self._show("Please choose")

    def _look_at_keys(self) -> None:
        number, self._chosen, self._cancelled = self._chosen, None, False
        if number is None:
            return
        shelf = self.shelves.get(number)
        if shelf is None:
            self._show("No such item")
        elif shelf.stock == 0:
            self._show("Sold out")
        else:
            request = shelf.price_minor.to_bytes(2, "big") + number.to_bytes(2, "big")
            if self._send(bytes([mdb.VEND, mdb.REQUEST]) + request) is not None:
                self._selected, self._until = number, time.monotonic() + self.wait_s
                self._become("asking")

    def _look_at_time(self) -> None:
        if self._cancelled or time.monotonic() > self._until:
            self._cancelled = False
            self._send(bytes([mdb.VEND, mdb.CANCEL]))

    def _look_at_motor(self) -> None:
        if time.monotonic() < self._until or self._selected is None:
            return
        shelf, number = self.shelves[self._selected], self._selected
        if self.jammed:
            self._send(bytes([mdb.VEND, mdb.FAILURE]))
        else:
            with self._changed:
                shelf.stock -= 1
                self.tray.append(shelf.name)
            self._send(bytes([mdb.VEND, mdb.SUCCESS]) + number.to_bytes(2, "big"))
        self._end()

    def _poll(self) -> None:
        answer = self._send(bytes([mdb.POLL]))
        if not answer:
            return
        if answer[0] == mdb.DISPLAY:
            self._show(answer[2:].decode("ascii", "replace"))
        elif answer[0] == mdb.APPROVED and self.state == "asking":
            self._until = time.monotonic() + self.motor_s
            self._become("giving out")
        elif answer[0] == mdb.DENIED and self.state == "asking":
            self._end()

    def _end(self) -> None:
        self._selected = None
        self._send(bytes([mdb.VEND, mdb.COMPLETE]))
        self._become("ready")

    def _send(self, block: bytes) -> bytes | None:
        """Exchange a block, again while it gets garbled; None if the reader does not answer."""
        for _ in range(_TRIES):
            words = mdb.write_command(block)
            if self.noisy:
                self._noise += 1
                if self._noise % 2:  # every other block is hit
                    words = (*words[:-1], words[-1] ^ 1)
            answer = self.adapter.exchange(words)
            if answer is None:
                continue
            try:
                return mdb.read_answer(answer)
            except Garbled:
                continue
        return None

    def _become(self, state: str) -> None:
        with self._changed:
            self.state = state
            self._changed.notify_all()
        self._on_change()

    def _show(self, text: str) -> None:
        with self._changed:
            self._text = text
            self._changed.notify_all()
        self._on_change()
