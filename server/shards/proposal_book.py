"""Proposals in the directory: what an operator wants to do, and whether a second one confirmed it.

Every method may raise StoreUnavailable: nothing was written.
"""

from __future__ import annotations

from server.domain.directory import Proposal
from server.shards.directory_file import DirectoryFile
from server.shards.standing import SERIAL_BYTES

_SELECT = (
    "SELECT proposal_id, operator, method, content, content_hash, propose_us, expire_us, approver,"
    " coalesce((SELECT NOT revoked FROM certificate WHERE serial = approver_serial), 1), used_by"
    " FROM proposal"
)


class ProposalBook:
    """The table `proposal`. What a method wrote is durable when it returns."""

    def __init__(self, file: DirectoryFile) -> None:
        self._file = file

    def add(self, proposal: Proposal) -> None:
        """Keep a proposal; again it changes nothing. Those that ended unused are forgotten."""
        with self._file.transaction():
            self._file.rows(
                "DELETE FROM proposal WHERE expire_us <= ? AND used_by IS NULL",
                proposal.propose_us,
            )
            self._file.rows(
                "INSERT INTO proposal VALUES (?, ?, ?, ?, ?, ?, ?, '', NULL, NULL)"
                " ON CONFLICT DO NOTHING",
                proposal.proposal_id,
                proposal.operator,
                proposal.method,
                proposal.content,
                proposal.content_hash,
                proposal.propose_us,
                proposal.expire_us,
            )

    def find(self, proposal_id: bytes) -> Proposal | None:
        """Find a proposal, also one that ended or was used."""
        rows = self._file.rows(f"{_SELECT} WHERE proposal_id = ?", proposal_id)
        return Proposal(*rows[0]) if rows else None

    def waiting(self, now_us: int) -> list[Proposal]:
        """The proposals that have not ended and were not used, by their time."""
        rows = self._file.rows(
            f"{_SELECT} WHERE expire_us > ? AND used_by IS NULL ORDER BY propose_us", now_us
        )
        return [Proposal(*row) for row in rows]

    def count_of(self, operator: str, now_us: int) -> int:
        """How many proposals of an operator wait."""
        rows = self._file.rows(
            "SELECT count(*) FROM proposal"
            " WHERE operator = ? AND expire_us > ? AND used_by IS NULL",
            operator,
            now_us,
        )
        return int(rows[0][0])

    def approve(self, proposal_id: bytes, approver: str, serial: int) -> None:
        """Write who confirmed a proposal, and by which certificate."""
        self._file.rows(
            "UPDATE proposal SET approver = ?, approver_serial = ? WHERE proposal_id = ?",
            approver,
            serial.to_bytes(SERIAL_BYTES, "big"),
            proposal_id,
        )

    def use(self, proposal_id: bytes, request_id: bytes) -> None:
        """Write which request a proposal was used up by."""
        self._file.rows(
            "UPDATE proposal SET used_by = ? WHERE proposal_id = ?", request_id, proposal_id
        )
