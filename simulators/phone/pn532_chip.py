"""A simulated PN532 chip on a pseudo terminal, into whose field a phone can be held.

nfcpy's own PN532 driver talks to it over pyserial, as it would over a USB serial line. What the
driver needs as a reader of type A cards is here (NXP UM0701-02, sections 6.2 and 7.2); with
`model_time` every byte takes its time on the serial line (10 bits a byte at the rate that the host
sets) and in the air (106 kbit/s).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from kessai.complaint import Complaint
from simulators.devices.pty_line import PtyLine
from simulators.phone.hce import WalletService
from simulators.phone.host_frames import ACK, HostFrames, wrap
from simulators.phone.iso_dep import Card, IsoDepCard, LeftTheField

_BAUD_RATES = (9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600, 1288000)
_AIR_BITS_PER_SECOND = 106_000

# Commands (section 7.1) and what this chip answers.
_GET_FIRMWARE_VERSION, _VERSION = 0x02, bytes.fromhex("32010607")
_POWER_DOWN = 0x16
_DIAGNOSE = 0x00  # the host tests the line: what it sent comes back
_SET_BAUD_RATE = 0x10
_QUIET = (0x12, 0x14)  # SetParameters, SAMConfiguration
_READ_REGISTER, _WRITE_REGISTER = 0x06, 0x08
_RF_CONFIGURATION, _RF_FIELD, _RF_TIMINGS = 0x32, 0x01, 0x02
_IN_LIST_PASSIVE_TARGET = 0x4A
_IN_COMMUNICATE_THRU = 0x42
_STATUS_OK, _STATUS_TIMEOUT = b"\x00", b"\x01"

_FIFO_DATA = b"\x63\x39"
_SENS_REQ = 0x26
_ATQA, _SAK, _UID = b"\x00\x04", 0x60, b"\x08\xa1\xb2\xc3"


class Pn532Chip:
    """The chip, its serial line and its field; see `field.Field`."""

    def __init__(self, path: Path, model_time: bool = False) -> None:
        """Offer the line at `path`, a symbolic link; Complaint if something else is there."""
        if path.exists() and not path.is_symlink():
            raise Complaint(f"{path} exists and is no link; name another path for the chip.")
        self._card: Card | None = None
        self._lock = threading.Lock()
        self._registers: dict[bytes, int] = {}
        self._timeout_s = 0.05
        self._baud = 115_200
        self._model_time = model_time
        self._frames = HostFrames()
        self._line = PtyLine(path, self._listen)
        self._line.plug()

    def make_card(self, answer: Callable[[bytes], bytes]) -> IsoDepCard:
        """Make the card for an app, as Android's card emulation offers it."""
        return IsoDepCard(WalletService(answer))

    def bring(self, card: Card) -> None:
        """Hold a card into the field; Complaint if another phone is in it."""
        with self._lock:
            if self._card is not None:
                raise Complaint(f"Another phone is in the field of {self._line.path}.")
            self._card = card

    def take_away(self) -> None:
        """Take the card out of the field; nothing if there is none."""
        with self._lock:
            card, self._card = self._card, None
        if card is not None:
            card.deactivate()

    def close(self) -> None:
        """Pull the plug: the line hangs up and the link disappears."""
        self._line.unplug()
        self.take_away()

    def _listen(self, received: bytes) -> None:
        self._pass_time(len(received) * 10 / self._baud)
        for command in self._frames.feed(received):
            self._write(ACK)
            answer = self._obey(command[0], command[1:])
            if answer is not None:
                self._write(wrap(bytes([command[0] + 1]) + answer))
            if command[0] == _SET_BAUD_RATE:
                self._baud = _BAUD_RATES[min(command[1], len(_BAUD_RATES) - 1)]

    def _write(self, data: bytes) -> None:
        self._pass_time(len(data) * 10 / self._baud)
        self._line.write(data)

    def _pass_time(self, seconds: float) -> None:
        if self._model_time:
            time.sleep(seconds)

    def _obey(self, code: int, data: bytes) -> bytes | None:
        if code == _GET_FIRMWARE_VERSION:
            return _VERSION
        if code == _DIAGNOSE:
            return data
        if code == _POWER_DOWN:
            return _STATUS_OK
        if code in (_SET_BAUD_RATE, *_QUIET):
            return b""
        if code == _READ_REGISTER:
            return bytes(self._registers.get(data[i : i + 2], 0) for i in range(0, len(data), 2))
        if code == _WRITE_REGISTER:
            self._registers |= {data[i : i + 2]: data[i + 2] for i in range(0, len(data) - 2, 3)}
            return b""
        if code == _RF_CONFIGURATION:
            return self._configure(data)
        if code == _IN_LIST_PASSIVE_TARGET:
            return self._list_target()
        return self._communicate(data) if code == _IN_COMMUNICATE_THRU else None

    def _configure(self, data: bytes) -> bytes:
        with self._lock:
            if data[0] == _RF_FIELD and not data[1] & 0x01 and self._card is not None:
                self._card.deactivate()
        if data[0] == _RF_TIMINGS and data[3]:
            self._timeout_s = 100e-6 * 2 ** (data[3] - 1)
        return b""

    def _list_target(self) -> bytes:
        with self._lock:
            if self._card is not None:
                self._card.deactivate()
                return b"\x01\x01" + _ATQA + bytes([_SAK, len(_UID)]) + _UID
        self._registers[_FIFO_DATA] = _SENS_REQ  # the call is still there: nobody answered it
        return b"\x00"

    def _communicate(self, frame: bytes) -> bytes:
        started = time.monotonic()
        self._pass_time(len(frame) * 8 / _AIR_BITS_PER_SECOND)
        answer = self._feed(frame)
        if answer is None:
            time.sleep(max(0.0, started + self._timeout_s - time.monotonic()))
            return _STATUS_TIMEOUT
        self._pass_time(len(answer) * 8 / _AIR_BITS_PER_SECOND)
        return _STATUS_OK + answer

    def _feed(self, frame: bytes) -> bytes | None:
        with self._lock:
            card = self._card
        try:
            return card.feed(frame) if card is not None else None
        except LeftTheField:
            self.take_away()
            return None
