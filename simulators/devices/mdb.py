"""MDB/ICP on the wire: nine-bit words, checksums, ACK and NAK (MDB/ICP 4.2, section 2).

Between the simulated vending machine (the bus master) and the cashless reader in its adapter. A
word is an int of nine bits; the ninth, the mode bit, marks the address of a command and the last
word of an answer. Blocks have at most 36 bytes with their checksum.
"""

from __future__ import annotations

MODE = 0x100
MAX_BLOCK = 36

Words = tuple[int, ...]

ACK: Words = (MODE,)
NAK: Words = (MODE | 0xFF,)
MASTER_ACK: Words = (0x00,)
MASTER_RET: Words = (0xAA,)

# Commands of a cashless device at address 10H, and what it answers to a POLL (section 7).
RESET, SETUP, POLL, VEND, READER = 0x10, 0x11, 0x12, 0x13, 0x14
CONFIG, PRICES = 0x00, 0x01
REQUEST, CANCEL, SUCCESS, FAILURE, COMPLETE = 0x00, 0x01, 0x02, 0x03, 0x04
DISABLE, ENABLE = 0x00, 0x01
JUST_RESET, CONFIGURED, DISPLAY, APPROVED, DENIED, END_SESSION = 0x00, 0x01, 0x02, 0x05, 0x06, 0x07


class Garbled(Exception):
    """What came is no block: truncated, overlong, a wrong checksum or mode bits out of place."""


def checksum(data: bytes) -> int:
    """Add up the bytes of a block, modulo 256."""
    return sum(data) & 0xFF


def write_command(data: bytes) -> Words:
    """Write the master's block: the mode bit on the address."""
    _check_length(data)
    return (data[0] | MODE, *data[1:], checksum(data))


def read_command(words: Words) -> bytes:
    """Read the master's block, at the peripheral; Garbled if it is none."""
    if len(words) < 2 or not words[0] & MODE or any(word & MODE for word in words[1:]):
        raise Garbled("a command has its mode bit on the first word and nowhere else")
    return _checked(words)


def write_answer(data: bytes) -> Words:
    """Write the peripheral's block: the mode bit on the checksum; ACK for an empty one."""
    if not data:
        return ACK
    _check_length(data)
    return (*data, checksum(data) | MODE)


def read_answer(words: Words) -> bytes:
    """Read the peripheral's block, at the master: b"" is ACK; Garbled for NAK and all else."""
    if words == ACK:
        return b""
    if len(words) < 2 or not words[-1] & MODE or any(word & MODE for word in words[:-1]):
        raise Garbled("an answer has its mode bit on the last word and nowhere else")
    return _checked(words)


def _checked(words: Words) -> bytes:
    if any(not 0 <= word <= MODE | 0xFF for word in words):
        raise Garbled("a word has nine bits")
    *data, check = (word & 0xFF for word in words)
    if len(words) > MAX_BLOCK:
        raise Garbled(f"a block has at most {MAX_BLOCK} bytes")
    if checksum(bytes(data)) != check:
        raise Garbled("the checksum is wrong")
    return bytes(data)


def _check_length(data: bytes) -> None:
    if not 1 <= len(data) < MAX_BLOCK:
        raise ValueError(f"a block has 1 to {MAX_BLOCK - 1} bytes and a checksum")
