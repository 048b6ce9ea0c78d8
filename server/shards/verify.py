"""Verifying the books: the settlement log is decided again, and must give what is stored.

Checks, shard by shard: the hash chain; every row's documents against its input hash; every
decision; every balance, entry, hold and document against the replayed ones; debits against
credits. And over all shards: everything owed is either in an outbox or has arrived, and nothing
arrives that was not owed. So what is in transit equals what the outboxes still owe (rule 2). A slot
that left a shard came to the one that its row names, with the same content, or is on its way.

Works beside a running switch too: each shard is read at one moment, and what moved between those
moments is looked at again. Called by `kessai ledger verify`, the demo and the tests.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby, zip_longest

from server.domain.arrival import payment_id, read_origin
from server.shards.entry_digest import Digest, add_entry
from server.shards.placement import ShardPlace, SlotMap
from server.shards.replay import Replay
from server.shards.settlement_log import LogRow
from server.shards.store import OutboxRow, Reader, StoreUnavailable
from server.shards.suspect import Suspect
from server.shards.verify_moves import moves_are_as_stored, moves_fit, on_their_way

_PROGRESS_ROWS = 1000


@dataclass(slots=True)
class Report:
    """What was looked at, and what is wrong: one line a fault."""

    rows: int = 0
    accounts: int = 0
    entries: int = 0
    in_transit: int = 0
    slots_moving: int = 0
    faults: list[str] = field(default_factory=list)


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
        faults, suspects = moves_fit(replays)
        report.faults += faults
        report.slots_moving = len(on_their_way(replays))
        suspects += _cross_check(readers, replays, report)
    except StoreUnavailable:
        raise
    except Exception as error:  # a file that was tampered with may fail anywhere
        report.faults.append(f"the shards cannot be read any further ({error!r})")
        return report
    finally:
        _close(readers)
    if suspects:
        readers = open_readers()
        report.faults += (s.fault for s in suspects if s.stands(readers))
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
    report.faults += (f"{where}: {fault}" for fault in moves_are_as_stored(reader, replay))
    report.accounts += len(replay.books.accounts)
    report.entries += sum(account.sequence for account in replay.books.accounts.values())


def _differences(reader: Reader, replay: Replay) -> Iterable[str]:
    accounts = sorted(replay.books.accounts.values(), key=lambda account: account.id)
    for stored, account in zip_longest(reader.all_accounts(), accounts):
        if stored != account:
            yield f"stored {stored}, the log gives {account}"
    digests: dict[int, Digest] = {}
    for account_id, entries in groupby(reader.all_entries(), lambda entry: entry.account):
        # Entries of a slot that is not here are copies under way, or what is still to be removed.
        if replay.place.is_here(account_id):
            for entry in entries:
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
) -> list[Suspect]:
    suspects: list[Suspect] = []
    arrivals = [arrival for replay in replays for arrival in replay.arrived.items()]
    arrived = Counter(key for key, _ in arrivals)
    report.faults += (f"{key.hex()} arrived twice" for key, n in arrived.items() if n > 1)
    read_to = {replay.place.shard: replay.sequence for replay in replays}
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
                suspects.append(Suspect(f"shard {shard}: {debt} never arrived", key, read_to))
        report.faults += (f"shard {shard}: {row} was never owed" for row in outbox.values())
        for key, row in replay.arrived.items():
            source, log_sequence, code = read_origin(row.body)
            debt_of = owed.get((source, log_sequence))
            if debt_of is None:
                fault = f"shard {shard}: log row {row.sequence} arrived and was never owed"
                source_to = {source: read_to[source]}
                suspects.append(Suspect(fault, payment_id(key), source_to))
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
