"""A fault that only stands if nothing has happened since the shards were read.

Verification works beside a running switch: each shard is read at one moment, not all at the same.
Used by `verify.py` and `verify_moves.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from server.domain.command import ACCEPTED
from server.shards.store import Reader


@dataclass(frozen=True, slots=True)
class Suspect:
    """A fault, unless one of the shards got the row of `request_id` after it was read.

    `read_to` gives the shards in question, and the log sequence up to which each was read.
    """

    fault: str
    request_id: bytes
    read_to: Mapping[int, int]

    def stands(self, readers: Sequence[Reader]) -> bool:
        """Look again, with readers that were opened later."""
        for shard, sequence in self.read_to.items():
            row = readers[shard].row(self.request_id)
            if row is not None and row.decline == ACCEPTED and row.sequence > sequence:
                return False
        return True
