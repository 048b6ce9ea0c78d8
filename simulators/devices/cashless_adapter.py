"""The MDB adapter in a vending machine: a cashless reader on the bus, lines of ASCII to its agent.

Towards the machine it is the peripheral at address 10H and answers every block at once; towards the
agent it speaks the words that stand in `edge_agents/devices/mdb_adapter.py`. What is told while
nobody has the line open waits in it, as in a USB adapter, unless it is `forgetful`.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

from simulators.devices import mdb
from simulators.devices.mdb import Garbled, Words
from simulators.devices.pty_line import PtyLine

_KEPT_LINES = 40
_NOISE = b"\xff\x00c,STA\xf0US,VE\r\n,,\r\nc,VEND,SUCCE\r\n\x1b\r\n"


class CashlessAdapter:
    """The adapter on a pty at a path. `silent`, `garbage` and `forgetful` are its faults."""

    def __init__(self, path: Path, random_bytes: Callable[[int], bytes]) -> None:
        self.silent = self.garbage = self.forgetful = False
        self._random_bytes = random_bytes
        self._lock = threading.RLock()
        self._typed = b""
        self._is_on = False
        self._heard = False
        self._state = "INACTIVE"
        self._answers: deque[bytes] = deque([bytes([mdb.JUST_RESET])])
        self._untold: deque[str] = deque(maxlen=_KEPT_LINES)
        self.line = PtyLine(path, self._take)
        self.line.plug()

    # The side of the bus.

    def exchange(self, words: Words) -> Words | None:
        """Answer a block of the machine, as a reader does; None for what it cannot read."""
        with self._lock:
            if not self._is_on:
                return None
            try:
                block = mdb.read_command(words)
            except Garbled:
                return None
            return mdb.write_answer(self._answer(block))

    def _answer(self, block: bytes) -> bytes:
        command, rest = block[0], block[1:]
        if command == mdb.RESET:
            self._answers = deque([bytes([mdb.JUST_RESET])])
            self._become("INACTIVE")
        elif command == mdb.SETUP and rest[:1] == bytes([mdb.CONFIG]):
            self._become("DISABLED")
            return bytes([mdb.CONFIGURED, 1, 0x19, 0x78, 1, 2, 5, 0x08])
        elif command == mdb.POLL:
            return self._answers.popleft() if self._answers else b""
        elif command == mdb.READER:
            self._become("ENABLED" if rest[:1] == bytes([mdb.ENABLE]) else "DISABLED")
        elif command == mdb.VEND and rest:
            return self._vend(rest[0], rest[1:])
        return b""

    def _vend(self, what: int, rest: bytes) -> bytes:
        if what == mdb.REQUEST and len(rest) == 4:
            price = Decimal(int.from_bytes(rest[:2], "big")).scaleb(-2)
            self._state = "VEND"
            self._tell(f"c,STATUS,VEND,{price},{int.from_bytes(rest[2:], 'big')}")
        elif what == mdb.CANCEL:
            self._answers.append(bytes([mdb.DENIED]))
        elif what == mdb.SUCCESS:
            self._tell("c,VEND,SUCCESS")
        elif what == mdb.FAILURE:
            self._tell("c,ERR,VEND 3")
        elif what == mdb.COMPLETE:
            self._become("IDLE")
            self._become("ENABLED")
            return bytes([mdb.END_SESSION])
        return b""

    # The side of the agent.

    def _take(self, data: bytes) -> None:
        with self._lock:
            if not self._heard:
                self._heard = True
                self._tell_untold()
            self._typed += data
            *lines, self._typed = self._typed.replace(b"\r", b"\n").split(b"\n")
            for line in lines:
                if line:
                    self._obey(line.decode("ascii", "replace"))

    def _obey(self, line: str) -> None:
        words = line.split(",", 2)
        if words[:2] == ["C", "1"] and self._is_on:
            self._tell('c,ERR,"cashless is on"')
        elif words[:2] == ["C", "1"]:
            self._is_on = True
            self._become("INACTIVE")
        elif words[:2] == ["C", "0"]:
            self._is_on = False
            self._become("INACTIVE")
        elif words[:2] == ["C", "DISPLAY"] and len(words) == 3:
            text = words[2].encode("ascii", "replace")[:32]
            self._answers.append(bytes([mdb.DISPLAY, 50]) + text)
        elif words[:2] == ["C", "STOP"] and self._state == "VEND":
            self._state = "IDLE"
            self._answers.append(bytes([mdb.DENIED]))
        elif words[:2] == ["C", "VEND"] and len(words) == 3 and self._state == "VEND":
            self._state = "DISPENSING"
            amount = int(Decimal(words[2]).scaleb(2))
            self._answers.append(bytes([mdb.APPROVED]) + amount.to_bytes(2, "big"))

    def _become(self, state: str) -> None:
        if state != self._state or state == "INACTIVE":
            self._state = state
            self._tell(f"c,STATUS,{state}")

    def _tell(self, line: str) -> None:
        if self.silent:
            return
        if not self.line.has_driver:
            self._heard = False
        if not self._heard:
            if not self.forgetful:
                self._untold.append(line)
            return
        noise = _NOISE + self._random_bytes(8).hex().encode() + b"\r\n" if self.garbage else b""
        self.line.write(noise + f"{line}\r\n".encode())

    def _tell_untold(self) -> None:
        while self._untold:
            self.line.write(f"{self._untold.popleft()}\r\n".encode())
