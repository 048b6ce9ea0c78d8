"""The chain of the audit log: each record's hash covers the record and the hash before it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from kessai.v1.audit_pb2 import AuditRecord

FIRST_HASH = bytes(32)

_CONTEXT = b"kessai/audit/v1\0"


def record_hash(before: bytes, record: AuditRecord) -> bytes:
    """The hash of a record after the one whose hash is `before`, from all its other fields.

    Numbers are written as eight bytes, big-endian and signed; texts in UTF-8, each after the number
    of its bytes.
    """
    numbers = (
        record.sequence,
        record.record_time.ToMicroseconds(),
        int(record.outcome),
        record.begun_sequence,
    )
    texts = (record.operator, record.method, record.request_id, record.object, record.reason)
    digest = hashlib.sha256(_CONTEXT + before)
    for number in numbers:
        digest.update(number.to_bytes(8, "big", signed=True))
    for text in texts:
        raw = text.encode()
        digest.update(len(raw).to_bytes(8, "big") + raw)
    return digest.digest()


def faults_of(records: Iterable[AuditRecord]) -> Iterator[str]:
    """What is wrong with all records of a log, in order from the first; nothing if it is whole."""
    before, expected, begun = FIRST_HASH, 1, set[int]()
    for record in records:
        if record.sequence != expected:
            yield f"audit record {expected} is missing: the next one is {record.sequence}"
        if record.hash != record_hash(before, record):
            yield f"audit record {record.sequence} does not fit the chain"
        if record.begun_sequence and record.begun_sequence not in begun:
            yield f"audit record {record.sequence} ends an act that was not begun"
        if record.outcome == 1:
            begun.add(record.sequence)
        begun.discard(record.begun_sequence)
        before, expected = record.hash, record.sequence + 1
