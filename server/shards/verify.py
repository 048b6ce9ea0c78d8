"""Verifying the books: the settlement log is decided again, and must give what is stored.

Checks, shard by shard: the pages, as far as the database itself can; the hash chain; every row's
documents against its input hash; every decision; every balance, entry, hold and document against
the replayed ones; debits against credits. And over all shards: everything owed is either in an
outbox or has arrived, and nothing arrives that was not owed. So what is in transit equals what the
outboxes still owe. A slot that left a shard came to the one that its row names, with the same
content, or is on its way.

Memory holds the accounts, holds and documents of one shard at a time; what crossed shards is
matched on disk (`transit.py`), so it does not grow with the log.

Works beside a running switch too: each shard is read at one moment, and what moved between those
moments is looked at again. Called by `kessai ledger verify`, the demo and the tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice, zip_longest

from kessai.complaint import Complaint
from server.shards.entry_digest import Digests, add_entry
from server.shards.placement import ShardPlace, SlotMap
from server.shards.replay import Replay
from server.shards.store import Reader, StoreDamaged, StoreUnavailable
from server.shards.suspect import Suspect
from server.shards.transit import Transit
from server.shards.verify_moves import moves_are_as_stored, moves_fit, on_their_way
from server.shards.verify_transit import transit_fits

_ROWS_AT_ONCE = 1000


@dataclass(slots=True)
class Report:
    """What was looked at, and what is wrong: one line a fault.

    `failed` counts requests that were declined because the switch failed at them.
    """

    rows: int = 0
    accounts: int = 0
    entries: int = 0
    in_transit: int = 0
    slots_moving: int = 0
    failed: int = 0
    faults: list[str] = field(default_factory=list)


def verify(
    open_readers: Callable[[], Sequence[Reader]],
    slots: SlotMap,
    on_progress: Callable[[int], None] = lambda rows: None,
) -> Report:
    """Verify all shards; `open_readers` opens a reader for each, anew at every call.

    StoreUnavailable if a shard's server went away meanwhile: then nothing is known. Complaint if
    there is no room for the temporary file.
    """
    report, readers, transit, is_damage_told = Report(), open_readers(), Transit(), False
    replays = [Replay(ShardPlace(shard, slots)) for shard in range(len(readers))]
    try:
        for reader in readers:
            reader.snapshot()
            report.faults += reader.faults()
        is_damage_told = bool(report.faults)
        for reader, replay in zip(readers, replays, strict=True):
            _check_shard(reader, replay, transit, report, on_progress)
        suspects = _cross_check(replays, transit, report)
    except StoreDamaged as error:
        if not is_damage_told:
            report.faults.append(f"the shards cannot be read any further ({error})")
        return report
    except (StoreUnavailable, Complaint):
        raise
    except Exception as error:  # a file that was tampered with may fail anywhere
        report.faults.append(f"the shards cannot be read any further ({error!r})")
        return report
    finally:
        _close(readers)
        transit.close()
    if suspects:
        readers = open_readers()
        report.faults += (s.fault for s in suspects if s.stands(readers))
        _close(readers)
    return report


def _check_shard(
    reader: Reader,
    replay: Replay,
    transit: Transit,
    report: Report,
    on_progress: Callable[[int], None],
) -> None:
    log, shard = reader.log(), replay.place.shard
    while rows := list(islice(log, _ROWS_AT_ONCE)):
        for row in rows:
            report.faults += replay.feed(row)
        transit.add_debts(shard, replay.owed)
        transit.add_arrivals(shard, replay.arrived)
        replay.owed, replay.arrived = [], []
        report.rows += len(rows)
        on_progress(report.rows)
    transit.add_outbox(shard, reader.all_outbox())
    where = f"shard {shard}"
    report.faults += (f"{where}: {fault}" for fault in _differences(reader, replay))
    report.faults += (f"{where}: {fault}" for fault in moves_are_as_stored(reader, replay))
    report.failed += replay.failed
    report.accounts += len(replay.books.accounts)
    report.entries += sum(account.sequence for account in replay.books.accounts.values())
    replay.let_go()


def _differences(reader: Reader, replay: Replay) -> Iterable[str]:
    accounts = sorted(replay.books.accounts.values(), key=lambda account: account.id)
    for stored, account in zip_longest(reader.all_accounts(), accounts):
        if stored != account:
            yield f"stored {stored}, the log gives {account}"
    unseen = set(replay.digests)
    for account_id, entries in groupby(reader.all_entries(), lambda entry: entry.account):
        # Entries of a slot that is not here are copies under way, or what is still to be removed.
        if not replay.place.is_here(account_id):
            continue
        stored_digests: dict[int, Digests] = {}
        for entry in entries:
            add_entry(stored_digests, entry)
        unseen.discard(account_id)
        if not stored_digests[account_id].fits(replay.digests.get(account_id)):
            yield f"the entries of account {account_id} are not those that the log gives"
    for account_id in unseen:
        yield f"the log gives entries to account {account_id}, and there are none"
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


def _cross_check(replays: Sequence[Replay], transit: Transit, report: Report) -> list[Suspect]:
    faults, suspects = moves_fit(replays)
    fit = transit_fits(transit, {replay.place.shard: replay.sequence for replay in replays})
    report.slots_moving = len(on_their_way(replays))
    report.in_transit = fit.on_the_way
    report.faults += faults + fit.faults
    return suspects + fit.suspects


def _close(readers: Iterable[Reader]) -> None:
    for reader in readers:
        reader.close()
