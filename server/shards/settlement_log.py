"""The settlement log: every command that reached a shard, chained by hashes (row B13).

A row is written in the same commit as what it did, and never changed or deleted. It keeps the
command with the documents as they came, when and how it was decided, and
chain_hash = SHA-256(chain_hash of the row before + everything in this row).
"""

from __future__ import annotations

import struct
from hashlib import sha256
from typing import NamedTuple

from kessai.v1.decline_pb2 import DeclineReason
from server.domain.command import Command
from server.domain.history import Parts, read_command

CHAIN_START = bytes(32)

_NUMBERS = struct.Struct(">QHQQqHQHI")


class RequestIdReused(Exception):
    """The request id is in the log already, with other content. Nothing was done."""


Content = tuple[int, bytes, int, bytes, int, int, int, int, int, int, bytes]


class LogRow(NamedTuple):
    """One row of the log. `book_us` is microseconds since 1970; `decline` 0 if it was done."""

    sequence: int
    request_id: bytes
    kind: int
    input_hash: bytes
    payer: int
    payee: int
    amount: int
    ledger: int
    book_us: int
    decline: DeclineReason.ValueType
    body: bytes
    chain_hash: bytes

    def command(self) -> Command:
        """Make the command again; ValueError if the row does not hold together."""
        parts: Parts = (
            self.request_id, self.input_hash, self.payer, self.payee,
            self.amount, self.ledger, self.body,
        )  # fmt: skip
        return read_command(self.kind, parts)


def log_row(
    sequence: int, command: Command, book_us: int, decline: DeclineReason.ValueType, before: bytes
) -> LogRow:
    """Write a command's row; `before` is the chain hash of the row before it."""
    content = (
        sequence, command.request_id, command.kind, command.input_hash, command.payer,
        command.payee, command.amount, command.ledger, book_us, decline, command.body,
    )  # fmt: skip
    return LogRow._make((*content, chain(before, content)))


def chain(before: bytes, content: Content) -> bytes:
    """Compute a row's chain hash, 32 bytes, from the one before and all its other columns."""
    sequence, request_id, kind, input_hash, *numbers, body = content
    packed = _NUMBERS.pack(sequence, kind, *numbers, len(body))
    return sha256(b"".join((before, packed, request_id, input_hash, body))).digest()
