"""The audit log in the directory: what operators did, each record chained to the one before.

Every method may raise StoreUnavailable: nothing was written. What a method wrote is durable when it
returns, or with the transaction around it.
"""

from __future__ import annotations

from typing import Any

from kessai.audit_chain import FIRST_HASH, record_hash
from kessai.v1.audit_pb2 import AuditOutcome, AuditRecord
from server.domain.directory import AuditFilter
from server.shards.directory_file import DirectoryFile

_SELECT = (
    "SELECT sequence, record_us, operator, method, request_id, object, outcome, reason,"
    " begun_sequence, hash, outcome = 1 AND NOT EXISTS"
    " (SELECT 1 FROM audit_record AS later WHERE later.begun_sequence > 0"
    " AND later.begun_sequence = audit_record.sequence)"
    " FROM audit_record"
)


class AuditBook:
    """The table `audit_record`."""

    def __init__(self, file: DirectoryFile) -> None:
        self._file = file

    def add(self, record: AuditRecord, record_us: int) -> int:
        """Write a record at the end of the chain; its sequence comes back."""
        with self._file.transaction():
            sequence, before = self.head()
            record.sequence = sequence + 1
            record.record_time.FromMicroseconds(record_us)
            record.hash = record_hash(before, record)
            self._file.rows(
                "INSERT INTO audit_record VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                record.sequence,
                record_us,
                record.operator,
                record.method,
                record.request_id,
                record.object,
                int(record.outcome),
                record.reason,
                record.begun_sequence,
                record.hash,
            )
        return record.sequence

    def head(self) -> tuple[int, bytes]:
        """The sequence and hash of the newest record; 0 and zeroes before the first."""
        rows = self._file.rows(
            "SELECT sequence, hash FROM audit_record ORDER BY sequence DESC LIMIT 1"
        )
        return (rows[0][0], rows[0][1]) if rows else (0, FIRST_HASH)

    def page(self, wanted: AuditFilter, after: int, limit: int) -> list[AuditRecord]:
        """Records after a sequence that fit a filter, in order."""
        rows = self._file.rows(
            f"{_SELECT} WHERE sequence > ? AND (? = '' OR operator = ?)"
            " AND (? = '' OR method = ?) AND (? = '' OR object = ?) ORDER BY sequence LIMIT ?",
            after,
            *(wanted.operator, wanted.operator),
            *(wanted.method, wanted.method),
            *(wanted.object, wanted.object),
            limit,
        )
        return [_record(row) for row in rows]


def _record(row: tuple[Any, ...]) -> AuditRecord:
    record = AuditRecord(
        sequence=row[0],
        operator=row[2],
        method=row[3],
        request_id=row[4],
        object=row[5],
        outcome=AuditOutcome.ValueType(row[6]),
        reason=row[7],
        begun_sequence=row[8],
        hash=row[9],
        open=bool(row[10]),
    )
    record.record_time.FromMicroseconds(row[1])
    return record
