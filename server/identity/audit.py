"""The audit of operators' acts: who did what to which object, and what came of it.

What an act did in the directory is written in one commit with its record; of any other act a record
is written before it begins, and one of its outcome before it is answered. If the switch is killed
in between, the act shows as one without an outcome.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from kessai.v1.audit_pb2 import (
    AUDIT_OUTCOME_ACCEPTED,
    AUDIT_OUTCOME_BEGUN,
    AUDIT_OUTCOME_REFUSED,
    AuditOutcome,
    AuditRecord,
)
from server.domain.directory import AuditFilter
from server.identity.directory_call import in_thread
from server.shards.audit_book import AuditBook
from server.shards.directory_file import DirectoryFile
from server.shards.lru import LruCache
from server.shards.standing import while_good

MACHINE = "machine"
REFUSALS_AN_HOUR = 100

_HOUR_US = 3_600_000_000
_NO_MORE = "REFUSALS_NOT_LISTED"
_OPERATORS = 1024

P = ParamSpec("P")
Result = TypeVar("Result")


@dataclass(slots=True)
class Act:
    """An act of an operator: `method` is such as "AccountService/WithdrawCash".

    `begun` is the sequence of the record that began it, `recorded` whether its outcome is written,
    `serial` that of the operator's certificate (0: of the machine, which has none).
    """

    operator: str
    method: str
    request_id: str = ""
    object: str = ""
    begun: int = 0
    recorded: bool = False
    serial: int = 0


_current: ContextVar[tuple[Audit, Act] | None] = ContextVar("kessai_act", default=None)


class Audit:
    """Writes and lists the audit log. Methods may run in any thread."""

    def __init__(self, file: DirectoryFile, now_us: Callable[[], int]) -> None:
        self._file, self._book, self._now_us = file, AuditBook(file), now_us
        self._refusals = LruCache[str, tuple[int, int]](_OPERATORS)

    def begin(self, act: Act) -> None:
        """Write that an act begins, durably."""
        act.begun = self._write(act, AUDIT_OUTCOME_BEGUN, "")

    def accept(self, act: Act) -> None:
        """Write that an act was done, durably or with the transaction around it."""
        if not act.recorded:
            self._write(act, AUDIT_OUTCOME_ACCEPTED, "")
            self._file.after_commit(lambda: setattr(act, "recorded", True))

    def refuse(self, act: Act, reason: str) -> None:
        """Write that an act was refused, and why; so many an hour that were not even begun."""
        if act.recorded:
            return
        if not act.begun:
            hour = self._now_us() // _HOUR_US
            last, count = self._refusals.get(act.operator) or (hour, 0)
            count = count + 1 if last == hour else 1
            self._refusals.put(act.operator, (hour, count))
            if count > REFUSALS_AN_HOUR:
                return
            reason = _NO_MORE if count == REFUSALS_AN_HOUR else reason
        self._write(act, AUDIT_OUTCOME_REFUSED, reason)
        act.recorded = True

    def page(self, wanted: AuditFilter, after: int, limit: int) -> list[AuditRecord]:
        """Records after a sequence that fit a filter, in order."""
        return self._book.page(wanted, after, limit)

    def head(self) -> tuple[int, bytes]:
        """The sequence and hash of the newest record."""
        return self._book.head()

    def hold(self, act: Act) -> None:
        """Make an act the one that `in_act` writes of; it ends with the call's own task."""
        _current.set((self, act))

    def do(self, act: Act, work: Callable[[], Result]) -> Result:
        """Do work on the directory in one commit with the record of it; CertificateRevoked.

        So an operator whose call passed the guard before he was revoked makes no other one, and no
        pairing code, afterwards.
        """
        with while_good(self._file, act.serial):
            result = work()
            self.accept(act)
        return result

    def _write(self, act: Act, outcome: AuditOutcome.ValueType, reason: str) -> int:
        record = AuditRecord(
            operator=act.operator,
            method=act.method,
            request_id=act.request_id,
            object=act.object,
            outcome=outcome,
            reason=reason,
            begun_sequence=act.begun,
        )
        return self._book.add(record, self._now_us())


def held_act() -> Act | None:
    """The act that this call is, if it is one."""
    held = _current.get()
    return held[1] if held else None


async def in_act(work: Callable[P, Result], *args: P.args, **kwargs: P.kwargs) -> Result:
    """Run an operator's work on the directory in a thread, in one commit with its record.

    Raises what `in_thread` does. Of a caller who is no operator nothing is recorded.
    """
    held = _current.get()
    if held is None:
        return await in_thread(work, *args, **kwargs)
    audit, act = held
    return await in_thread(audit.do, act, lambda: work(*args, **kwargs))
