"""Digests over all entries of an account, taken in one by one: SHA-256, chained.

Two shards prove to each other by them that an account's history came as it left. A slot's move says
in which form (`MovedAccount.digest_version`): PACKED, or SHOWN as in former releases, which hashed
what Python shows of an entry. An account that once came by a move in the old form has only that one
known in its new shard's log, and keeps it; all others are packed.
"""

from __future__ import annotations

import hashlib
import struct
from typing import NamedTuple

from server.shards.store import BookedEntry

SHOWN, PACKED = 0, 2

# The account's entry: account, sequence, amount, balance, counterparty, kind, booking time, log
# row, and the length of the request id, which follows.
_NUMBERS = struct.Struct(">QQqqQHQQH")


class Digests(NamedTuple):
    """The digest of an account's entries so far in either form, 32 bytes; None: not known."""

    shown: bytes | None = b""
    packed: bytes | None = b""

    @classmethod
    def came(cls, version: int, digest: bytes) -> Digests:
        """What is known of an account that came with a digest."""
        return cls(None, digest) if version == PACKED else cls(digest, None)

    def of(self, version: int) -> bytes:
        """The digest in the form of a version; empty if it is not known."""
        return (self.packed if version == PACKED else self.shown) or b""

    def fits(self, known: Digests | None) -> bool:
        """Whether this, of which both are known, is what is known elsewhere."""
        return (
            known is not None
            and known.shown in (None, self.shown)
            and (known.packed in (None, self.packed))
        )


def add_entry(digests: dict[int, Digests], entry: BookedEntry) -> None:
    """Take an account's next entry into its digests."""
    shown, packed = digests.get(entry.account, Digests())
    if shown is not None:
        shown = hashlib.sha256(shown + repr(tuple(entry)).encode()).digest()
    if packed is not None:
        packed = hashlib.sha256(packed + _pack(entry)).digest()
    digests[entry.account] = Digests(shown, packed)


def _pack(entry: BookedEntry) -> bytes:
    account, sequence, amount, balance, counterparty, code, book_us, request_id, row = entry
    try:
        numbers = _NUMBERS.pack(
            account, sequence, amount, balance, counterparty, code, book_us, row, len(request_id)
        )
        return numbers + request_id
    except (struct.error, TypeError):  # no entry of ours: somebody wrote it into a file
        return repr(tuple(entry)).encode()
