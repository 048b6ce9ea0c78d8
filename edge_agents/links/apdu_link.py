"""Messages of any length in short APDUs (ISO/IEC 7816-4), as Android's card emulation has them.

SELECT our application, then ENVELOPE with command chaining for what the terminal says; the phone's
answer comes with 61xx and GET RESPONSE. Pure: bytes go out and come in through `transceive`, which
`nfc_radio` takes from nfcpy. The other end is `simulators/phone/hce.py`.
"""

from __future__ import annotations

from collections.abc import Callable

from edge_agents.links.message_link import MAX_MESSAGE_BYTES, LinkLost

Transceive = Callable[[bytes], bytes]

# "KESSAI", version 1; F0 marks an identifier that nobody registered (ISO/IEC 7816-5).
APPLICATION_ID = bytes.fromhex("F04B455353414901")
# With its six bytes of header an ENVELOPE of 247 bytes fits the largest ISO-DEP block (253 bytes).
CHUNK_BYTES = 247

_OK = b"\x90\x00"
_MORE_TO_COME = 0x61
_CHAINED, _LAST = 0x10, 0x00


def select_application(transceive: Transceive) -> bool:
    """Select our application; False if this is some other card."""
    header = bytes([0x00, 0xA4, 0x04, 0x00, len(APPLICATION_ID)])
    return bytes(transceive(header + APPLICATION_ID + b"\x00")[-2:]) == _OK


def exchange_message(transceive: Transceive, message: bytes) -> bytes:
    """Send a message and collect its answer (each at most 64 KiB); LinkLost if there is none."""
    if len(message) > MAX_MESSAGE_BYTES:
        raise ValueError("the message is longer than 64 KiB")
    last_chunk = max(0, (len(message) - 1) // CHUNK_BYTES * CHUNK_BYTES)
    for start in range(0, last_chunk, CHUNK_BYTES):
        answer = transceive(_envelope(_CHAINED, message[start : start + CHUNK_BYTES]))
        if bytes(answer) != _OK:
            raise LinkLost(f"the phone broke off the message: {_status(answer)}")
    return _collect(transceive, transceive(_envelope(_LAST, message[last_chunk:]) + b"\x00"))


def _envelope(chaining: int, chunk: bytes) -> bytes:
    header = bytes([chaining, 0xC3, 0x00, 0x00])
    return header + bytes([len(chunk)]) + chunk if chunk else header


def _collect(transceive: Transceive, first: bytes) -> bytes:
    message, answer = bytearray(first[:-2]), first
    while len(answer) >= 2 and answer[-2] == _MORE_TO_COME:
        answer = transceive(bytes([0x00, 0xC0, 0x00, 0x00, answer[-1]]))
        message += answer[:-2]
        if len(message) > MAX_MESSAGE_BYTES:
            raise LinkLost("the phone's answer is longer than 64 KiB")
    if bytes(answer[-2:]) != _OK:
        raise LinkLost(f"the phone did not answer: {_status(answer)}")
    return bytes(message)


def _status(answer: bytes) -> str:
    return f"status {bytes(answer[-2:]).hex()}"
