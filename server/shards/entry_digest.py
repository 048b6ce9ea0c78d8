"""A digest over all entries of an account, taken in one by one: SHA-256, chained.

Two shards prove to each other by it that an account's history came as it left. Used by `replay.py`,
`verify.py` and, when a slot moves, by `server/switch/slot_copy.py`.
"""

from __future__ import annotations

import hashlib

from server.shards.store import BookedEntry

Digest = bytes


def add_entry(digests: dict[int, Digest], entry: BookedEntry) -> None:
    """Take an account's next entry into its digest, 32 bytes."""
    content = digests.get(entry.account, b"") + repr(tuple(entry)).encode()
    digests[entry.account] = hashlib.sha256(content).digest()
