"""The phone's app as Android's HostApduService: SELECT, ENVELOPE, GET RESPONSE around messages.

Port of what an Android app would do in `processCommandApdu`: short APDUs only, one message at a
time. The terminal's end is `edge_agents/links/apdu_link.py`.
"""

from __future__ import annotations

from collections.abc import Callable

# "KESSAI", version 1; F0 marks an identifier that nobody registered (ISO/IEC 7816-5).
APPLICATION_ID = bytes.fromhex("F04B455353414901")
MAX_MESSAGE_BYTES = 64 * 1024

_SELECT = b"\x00\xa4\x04\x00"
_ENVELOPE = 0xC3
_GET_RESPONSE = 0xC0
_CHAINED = 0x10
# With its status an answer of 251 bytes fits the largest ISO-DEP block (253 bytes).
_PIECE_BYTES = 251

_OK = b"\x90\x00"
_NOT_SELECTED = b"\x69\x85"
_WRONG_LENGTH = b"\x67\x00"
_TOO_LONG = b"\x6a\x84"
_OTHER_APPLICATION = b"\x6a\x82"
_UNKNOWN_INSTRUCTION = b"\x6d\x00"


class WalletService:
    """Carries messages to the wallet; `answer` takes a message and gives one."""

    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        self._answer = answer
        self.on_deactivated()

    def on_deactivated(self) -> None:
        """Forget a message that the terminal began, and an answer that it did not fetch."""
        self._selected = False
        self._message = b""
        self._unsent = b""

    def process_command_apdu(self, apdu: bytes) -> bytes:
        """Answer a short command APDU; a status word says what is wrong with a bad one."""
        if len(apdu) < 4:
            return _WRONG_LENGTH
        if apdu[:4] == _SELECT:
            return self._select(_data_of(apdu))
        if not self._selected:
            return _NOT_SELECTED
        if apdu[1] == _ENVELOPE:
            return self._envelope(apdu[0], _data_of(apdu))
        if apdu[1] == _GET_RESPONSE:
            return self._next_piece() if self._unsent else _NOT_SELECTED
        return _UNKNOWN_INSTRUCTION

    def _select(self, application_id: bytes | None) -> bytes:
        self.on_deactivated()
        self._selected = application_id == APPLICATION_ID
        return _OK if self._selected else _OTHER_APPLICATION

    def _envelope(self, chaining: int, data: bytes | None) -> bytes:
        if data is None:
            return _WRONG_LENGTH
        self._message += data
        if len(self._message) > MAX_MESSAGE_BYTES:
            self._message = b""
            return _TOO_LONG
        if chaining & _CHAINED:
            return _OK
        message, self._message = self._message, b""
        self._unsent = self._answer(message)
        return self._next_piece()

    def _next_piece(self) -> bytes:
        piece, self._unsent = self._unsent[:_PIECE_BYTES], self._unsent[_PIECE_BYTES:]
        if not self._unsent:
            return piece + _OK
        return piece + bytes([0x61, min(len(self._unsent), _PIECE_BYTES)])


def _data_of(apdu: bytes) -> bytes | None:
    """Give the data of a short APDU (cases 1 to 4); None if its length byte is wrong."""
    if len(apdu) <= 5:
        return b""
    data = apdu[5 : 5 + apdu[4]]
    return data if len(data) == apdu[4] and len(apdu) - 5 - apdu[4] <= 1 else None
