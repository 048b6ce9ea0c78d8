"""A document: what a feature keeps about money beside the accounts that the money is on.

A ticket's state is one. It lies in the shard of its account, changes in the same commit as the
money, and moves with the account. Commands name documents in `needs` and give changed ones in their
decision; `server/shards` keeps them.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class DocumentKind(IntEnum):
    """What a document is. Numbers are never reused."""

    TICKET = 1
    ADMISSION = 2
    RELEASE = 3


class Document(NamedTuple):
    """A document as it is kept.

    `id`: 16 to 32 bytes, unique over all kinds. `account`: in whose shard it lies. `body`: the
    feature's own message, serialised.
    """

    id: bytes
    kind: int
    account: int
    body: bytes
