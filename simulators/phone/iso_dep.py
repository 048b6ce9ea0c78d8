"""The card's side of ISO/IEC 14443-4 (ISO-DEP): what a phone's NFC controller does with blocks.

Blocks come in and go out through `feed`; which field carries them (`udp_field`, `pn532_chip`) does
not matter. The application thinks in a thread of its own, and until it is done the reader is asked
for more time with S(WTX), as a phone's controller does.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillThinking
from typing import Protocol

# FSCI and FSDI to bytes of a frame (section 5.2.3); a frame has 1 byte of header and 2 of CRC.
FRAME_BYTES = (16, 24, 32, 40, 48, 64, 96, 128, 256)
FRAME_OVERHEAD = 3
# A short APDU has at most 261 bytes; a reader that chains more than that is not understood.
MAX_APDU_BYTES = 512

_FSCI, _FWI = 8, 9
_FRAME_WAITING_TIME_S = 4096 / 13.56e6 * 2**_FWI
_WTX_MULTIPLIER = 4

_RATS = 0xE0
_DESELECT = 0xC2
_WTX = 0xF2
_CHAINING = 0x10
_NAK = 0x10


class LeftTheField(Exception):
    """The phone was taken away in the middle of a frame."""


class Card(Protocol):
    """What lies in a field: frames in, frames out."""

    def feed(self, frame: bytes) -> bytes | None:
        """Answer a reader's frame; None to stay mute. LeftTheField when it is taken away."""
        ...

    def deactivate(self) -> None:
        """Forget the dialogue: the field went off, or the phone left it."""
        ...


class Application(Protocol):
    """What runs behind the card, as Android's HostApduService (see `hce`)."""

    def process_command_apdu(self, apdu: bytes) -> bytes:
        """Answer a command APDU with a response APDU."""
        ...

    def on_deactivated(self) -> None:
        """Forget what the terminal began: the link is lost."""
        ...


class IsoDepCard:
    """A Type 4A card with one application behind it."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._brain = ThreadPoolExecutor(max_workers=1, thread_name_prefix="phone-app")
        self._active = False
        self._reset()

    def feed(self, frame: bytes) -> bytes | None:
        """Answer a block; None to stay mute on what is no block of ISO/IEC 14443-4."""
        if not frame:
            return None
        if frame[0] == _RATS and len(frame) >= 2:
            return self._answer_to_select(frame[1] >> 4)
        if not self._active:
            return None
        answer = self._block(frame[0], frame[1:])
        if answer is not None:
            self._last = answer
        return answer

    def deactivate(self) -> None:
        """Forget the dialogue: the field went off, or the phone left it."""
        if self._active:
            self._active = False
            self._application.on_deactivated()
        self._reset()

    def close(self) -> None:
        """End the application's thread, after what it still thinks about."""
        self._brain.shutdown()

    def _reset(self) -> None:
        self._number = 1
        self._command = b""
        self._response = b""
        self._last = b""
        self._thinking: Future[bytes] | None = None

    def _answer_to_select(self, fsdi: int) -> bytes:
        self.deactivate()
        self._active = True
        self._block_bytes = FRAME_BYTES[min(fsdi, 8)] - FRAME_OVERHEAD
        self._last = bytes([5, 0x70 | _FSCI, 0x00, _FWI << 4, 0x00])
        return self._last

    def _block(self, header: int, information: bytes) -> bytes | None:
        if header == _DESELECT:
            self.deactivate()
            return bytes([_DESELECT])
        if header == _WTX:
            return self._think(self._thinking) if self._thinking else None
        if header & 0xEE == 0x02:
            return self._information_block(header, information)
        if header & 0xEE == 0xA2:
            return self._receive_ready_block(header)
        return None

    def _information_block(self, header: int, information: bytes) -> bytes | None:
        if self._thinking or len(self._command) + len(information) > MAX_APDU_BYTES:
            return None
        self._number ^= 1  # rule D
        self._command += information
        if header & _CHAINING:
            return self._acknowledge()
        command, self._command = self._command, b""
        self._thinking = self._brain.submit(self._application.process_command_apdu, command)
        return self._think(self._thinking)

    def _receive_ready_block(self, header: int) -> bytes | None:
        if header & 0x01 == self._number:
            return self._last  # rule 11: what we said got lost
        if header & _NAK:
            return self._acknowledge()  # rule 12: what the reader said got lost
        self._number ^= 1  # rule E
        return self._next_piece()  # rule 13

    def _acknowledge(self) -> bytes:
        return bytes([0xA2 | self._number])

    def _think(self, thinking: Future[bytes]) -> bytes:
        try:
            self._response = thinking.result(timeout=_FRAME_WAITING_TIME_S / 2)
        except StillThinking:
            return bytes([_WTX, _WTX_MULTIPLIER])
        self._thinking = None
        return self._next_piece()

    def _next_piece(self) -> bytes:
        piece = self._response[: self._block_bytes]
        self._response = self._response[self._block_bytes :]
        return bytes([0x02 | self._number | (_CHAINING if self._response else 0)]) + piece
