"""The settlement log: every command that reached a shard, chained by hashes (row B13).

A row is written in the same commit as what it did, and never changed or deleted. It keeps the
command with the documents as they came, when and how it was decided, and
chain_hash = SHA-256(chain_hash of the row before + everything in this row).

Rows have a version. One of version 1 was decided at its booking time, which never goes back: after
a clock that ran ahead it was wrong until the clock had caught up. One of version 2 says when it was
decided, by the clock as it was. Either is decided again at the time at which it was decided, so the
same commands read both, and what was booked by a former release verifies as before.
"""

from __future__ import annotations

import struct
from hashlib import sha256
from typing import NamedTuple

from kessai.v1.decline_pb2 import DeclineReason
from server.domain.command import Command
from server.domain.history import read_command
from server.domain.operator_history import Parts

CHAIN_START = bytes(32)

ROW_VERSION = 2

_NUMBERS = struct.Struct(">QHQQqHQHI")
# Begins with the version, where a row of version 1 has the first byte of its sequence, 0: so no row
# of one version has the bytes of another's.
_NUMBERS_2 = struct.Struct(">BqQHQQqHQHI")
_DECIDED_WHEN_BOOKED = 1


class RequestIdReused(Exception):
    """The request id is in the log already, with other content. Nothing was done."""


Content = tuple[int, bytes, int, bytes, int, int, int, int, int, int, bytes, int, int]


class RowTime(NamedTuple):
    """When a row is booked and when its command is decided, microseconds since 1970.

    `book_us` orders: it never goes back in a shard's log, and stands in entries. `decide_us` is the
    clock of whoever decides, and may go back: by it things expire, and receipts are dated.
    """

    book_us: int
    decide_us: int
    version: int = ROW_VERSION

    @classmethod
    def after(cls, last_book_us: int, now_us: int) -> RowTime:
        """The time of rows that follow one booked at `last_book_us`, by a clock."""
        return cls(max(last_book_us, now_us), now_us)


class LogRow(NamedTuple):
    """One row of the log, as its table has it. `decline` is 0 if the command was done.

    `book_us` and `decide_us` are microseconds since 1970; `decide_us` is 0 in rows of version 1.
    A table that was not brought to version 3 yet has neither of the last two columns.
    """

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
    version: int = _DECIDED_WHEN_BOOKED
    decide_us: int = 0

    @property
    def time(self) -> RowTime:
        """When it was booked and decided."""
        is_old = self.version == _DECIDED_WHEN_BOOKED
        decide_us = self.book_us if is_old else self.decide_us
        return RowTime(self.book_us, decide_us, self.version)

    @property
    def content(self) -> Content:
        """All that its chain hash covers, beside the row before."""
        return (*self[:11], self.version, self.decide_us)

    def command(self) -> Command:
        """Make the command again; ValueError if the row does not hold together."""
        parts: Parts = (
            self.request_id, self.input_hash, self.payer, self.payee,
            self.amount, self.ledger, self.body,
        )  # fmt: skip
        return read_command(self.kind, parts)


def log_row(
    sequence: int, command: Command, time: RowTime, decline: DeclineReason.ValueType, before: bytes
) -> LogRow:
    """Write a command's row; `before` is the chain hash of the row before it."""
    version = time.version
    decide_us = 0 if version == _DECIDED_WHEN_BOOKED else time.decide_us
    said = (
        sequence, command.request_id, command.kind, command.input_hash, command.payer,
        command.payee, command.amount, command.ledger, time.book_us, decline, command.body,
    )  # fmt: skip
    chain_hash = chain(before, (*said, version, decide_us))
    return LogRow._make((*said, chain_hash, version, decide_us))


def chain(before: bytes, content: Content) -> bytes:
    """Compute a row's chain hash, 32 bytes, from the one before and all its other columns.

    ValueError if its version is not known.
    """
    sequence, request_id, kind, input_hash, *numbers, body, version, decide_us = content
    if version == ROW_VERSION:
        packed = _NUMBERS_2.pack(version, decide_us, sequence, kind, *numbers, len(body))
    elif (version, decide_us) == (_DECIDED_WHEN_BOOKED, 0):
        packed = _NUMBERS.pack(sequence, kind, *numbers, len(body))
    else:
        raise ValueError(f"there is no row of version {version} that was decided at {decide_us}")
    return sha256(b"".join((before, packed, request_id, input_hash, body))).digest()
