"""Verifying the books: the settlement log is decided again, and must give what is stored.

Checks, shard by shard: the hash chain; every row's documents against its input hash; every
decision; every balance, entry, hold and document against the replayed ones; debits against
credits. And over all shards: everything owed is either in an outbox or has arrived, and nothing
arrives that was not owed. So what is in transit equals what the outboxes still owe (rule 2).

Works beside a running switch too: each shard is read at one moment, and what moved between those
moments is looked at again. Called by `kessai ledger verify`, the demo and the tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

from server.domain.arrival import payment_id, read_origin
from server.domain.command import ACCEPTED
from server.shards.placement import ShardPlace, SlotMap
from server.shards.replay import Digest, Replay, add_entry
from server.shards.settlement_log import LogRow
from server.shards.store import OutboxRow, Reader, StoreUnavailable

_PROGRESS_ROWS = 1000


@dataclass(slots=True)
class Report:
    """What was looked at, and what is wrong: one line a fault."""

    rows: int = 0
    accounts: int = 0
    entries: int = 0
    in_transit: int = 0
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Suspect:
    """A fault, unless `shard` got the row of `request_id` after the moment at which it was read."""

    fault: str
    shard: int
    request_id: bytes
    read_to: int

    def stands(self, reader: Reader) -> bool:
        row = reader.row(self.request_id)
        return row is None or row.decline != ACCEPTED or row.sequence <= self.read_to


def verify(
    open_readers: Callable[[], Sequence[Reader]],
    slots: SlotMap,
    on_progress: Callable[[int], None] = lambda rows: None,
) -> Report:
    """Verify all shards; `open_readers` opens a reader for each, anew at every call.

    StoreUnavailable if a shard's server went away meanwhile: then nothing is known.
    """
    report = Report()
    readers = open_readers()
    for reader in readers:
        reader.snapshot()
    replays = [Replay(ShardPlace(shard, slots)) for shard in range(len(readers))]
    try:
        for reader, replay in zip(readers, replays, strict=True):
            _check_shard(reader, replay, report, on_progress)
        suspects = _cross_check(readers, replays, report)
    except StoreUnavailable:
        raise
    except Exception as error:  # a file that was tampered with may fail anywhere
        report.faults.append(f"the shards cannot be read any further ({error!r})")
        return report
    finally:
        _close(readers)
    if suspects:
        readers = open_readers()
        report.faults += (s.fault for s in suspects if s.stands(readers[s.shard]))
        _close(readers)
    return report


def _check_shard(
    reader: Reader, replay: Replay, report: Report, on_progress: Callable[[int], None]
) -> None:
    for row in reader.log():
        report.faults += replay.feed(row)
        report.rows += 1
        if report.rows % _PROGRESS_ROWS == 0:
            on_progress(report.rows)
    where = f"shard {replay.place.shard}"
    report.faults += (f"{where}: {fault}" for fault in _differences(reader, replay))
    report.accounts += len(replay.books.accounts)
    report.entries += sum(account.sequence for account in replay.books.accounts.values())


def _differences(reader: Reader, replay: Replay) -> Iterable[str]:
    accounts = sorted(replay.books.accounts.values(), key=lambda account: account.id)
    for stored, account in zip_longest(reader.all_accounts(), accounts):
        if stored != account:
            yield f"stored {stored}, the log gives {account}"
    digests: dict[int, Digest] = {}
    for entry in reader.all_entries():
        add_entry(digests, entry)
    for account_id in digests.keys() | replay.digests.keys():
        if digests.get(account_id) != replay.digests.get(account_id):
            yield f"the entries of account {account_id} are not those that the log gives"
    holds = sorted(replay.books.holds.values(), key=lambda hold: hold.id)
    for kept, hold in zip_longest(reader.all_holds(), holds):
        if kept != hold:
            yield f"stored {kept}, the log gives {hold}"
    documents = sorted(replay.documents.values())
    for found, document in zip_longest(reader.all_documents(), documents):
        if found != document:
            yield f"stored {found}, the log gives {document}"
    for ledger in {account.ledger for account in accounts}:
        difference = sum(account.balance for account in accounts if account.ledger == ledger)
        if difference:
            yield f"currency {ledger}: credits exceed debits by {difference}"


def _cross_check(
    readers: Sequence[Reader], replays: Sequence[Replay], report: Report
) -> list[_Suspect]:
    suspects: list[_Suspect] = []
    arrivals = [arrival for replay in replays for arrival in replay.arrived.items()]
    arrived = {key for key, _ in arrivals}
    brought = {read_origin(row.body)[:2] for _, row in arrivals}
    owed = {
        (shard, debt.log_sequence): debt
        for shard, replay in enumerate(replays)
        for debt in replay.owed.values()
    }
    for shard, (reader, replay) in enumerate(zip(readers, replays, strict=True)):
        outbox = {row.log_sequence: row for row in reader.outbox(limit=2**62)}
        for key, debt in replay.owed.items():
            in_outbox = outbox.pop(debt.log_sequence, None)
            if in_outbox not in (None, debt):
                report.faults.append(f"shard {shard}: the outbox owes {in_outbox}, not {debt}")
            if (shard, debt.log_sequence) in brought:
                continue
            report.in_transit += 1
            if key in arrived:
                report.faults.append(f"shard {shard}: another payment has the id of {debt}")
            elif in_outbox is None:
                target = replay.place.slots.shard_of(debt.payee)
                fault = f"shard {shard}: {debt} never arrived"
                suspects.append(_Suspect(fault, target, key, replays[target].sequence))
        report.faults += (f"shard {shard}: {row} was never owed" for row in outbox.values())
        for key, row in replay.arrived.items():
            source, log_sequence, code = read_origin(row.body)
            debt_of = owed.get((source, log_sequence))
            if debt_of is None:
                fault = f"shard {shard}: log row {row.sequence} arrived and was never owed"
                read_to = replays[source].sequence
                suspects.append(_Suspect(fault, source, payment_id(key), read_to))
            elif debt_of != _debt(row, log_sequence, code):
                report.faults.append(f"shard {shard}: log row {row.sequence} is not {debt_of}")
    return suspects


def _debt(arrived: LogRow, log_sequence: int, code: int) -> OutboxRow:
    return OutboxRow(
        log_sequence,
        payment_id(arrived.request_id),
        arrived.payer,
        arrived.payee,
        arrived.amount,
        arrived.ledger,
        code,
    )


def _close(readers: Iterable[Reader]) -> None:
    for reader in readers:
        reader.close()
