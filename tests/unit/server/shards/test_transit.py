"""Money between shards, matched on disk: what does not fit is named; memory has a bound."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import apsw
import pytest

from kessai.complaint import Complaint
from server.domain.arrival import arrival
from server.domain.command import ACCEPTED
from server.shards.settlement_log import CHAIN_START, LogRow, RowTime, log_row
from server.shards.store import OutboxRow
from server.shards.transit import OnTheWay, Transit
from server.shards.verify_transit import transit_fits
from tests.unit.server.domain.commands import EUR, NOW_US, PAYMENT, accounts_on, fresh_id

ANN, SHOP = next(accounts_on(0, 2)), next(accounts_on(1, 2))
READ_TO = {0: 100, 1: 100}
MANY = 250_000
SQLITE_LIMIT_BYTES = 12_000_000


def debt(sequence: int, amount: int = 5) -> OutboxRow:
    """A log row of the first shard owes the shop on the second."""
    return OutboxRow(sequence, fresh_id(), ANN, SHOP, amount, EUR, PAYMENT)


def arrived(owed: OutboxRow, at_row: int = 1, source: int = 0) -> LogRow:
    """The log row by which it arrives."""
    return log_row(at_row, arrival(source, *owed), RowTime(NOW_US, NOW_US), ACCEPTED, CHAIN_START)


OWED = debt(1)


@pytest.fixture
def transit() -> Iterator[Transit]:
    """Nothing was owed yet."""
    transit = Transit()
    yield transit
    transit.close()


def test_what_arrived_fits_and_what_an_outbox_owes_is_on_the_way(transit: Transit) -> None:
    here, there, waiting = debt(1), debt(2), debt(3)
    transit.add_debts(0, [here, there, waiting])
    transit.add_arrivals(1, [arrived(there, 1), arrived(here, 2)])
    transit.add_outbox(0, [here, waiting])
    assert list(transit.on_the_way()) == [OnTheWay(0, waiting, True, False)]
    fit = transit_fits(transit, READ_TO)
    assert (fit.on_the_way, fit.faults, fit.suspects) == (1, [], [])


def test_what_is_nowhere_is_suspected_of_being_lost(transit: Transit) -> None:
    lost = debt(1)
    transit.add_debts(0, [lost])
    fit = transit_fits(transit, READ_TO)
    [suspect] = fit.suspects
    assert suspect.fault == f"shard 0: {lost} never arrived"
    assert (fit.on_the_way, fit.faults, suspect.read_to) == (1, [], READ_TO)


def test_the_same_position_in_another_shard_is_another_debt(transit: Transit) -> None:
    owed = debt(1)
    transit.add_debts(0, [owed])
    transit.add_outbox(1, [owed])
    transit.add_arrivals(0, [arrived(owed, source=1)])
    fit = transit_fits(transit, READ_TO)
    assert fit.faults == [
        f"shard 1: {owed} was never owed",
        f"shard 0: another payment has the id of {owed}",
    ]
    assert [s.fault for s in fit.suspects] == ["shard 0: log row 1 arrived and was never owed"]
    assert fit.suspects[0].read_to == {1: 100}


OTHERS = [
    debt(1),
    OWED._replace(payer=SHOP),
    OWED._replace(payee=ANN),
    OWED._replace(amount=6),
    OWED._replace(ledger=392),
    OWED._replace(code=PAYMENT + 1),
]


@pytest.mark.parametrize("other", OTHERS)
def test_each_column_counts(transit: Transit, other: OutboxRow) -> None:
    """In the outbox and in the arrival alike."""
    transit.add_debts(0, [OWED])
    transit.add_outbox(0, [other])
    transit.add_arrivals(1, [arrived(other)])
    assert transit_fits(transit, READ_TO).faults == [
        f"shard 0: the outbox owes {other}, not {OWED}",
        f"shard 1: log row 1 is not {OWED}",
    ]


def test_arriving_twice_is_a_fault_wherever_it_was(transit: Transit) -> None:
    owed = debt(1)
    transit.add_debts(0, [owed])
    transit.add_arrivals(1, [arrived(owed, 1)])
    transit.add_arrivals(2, [arrived(owed, 7)])
    [fault] = transit_fits(transit, READ_TO).faults
    assert fault == f"{arrived(owed).request_id.hex()} arrived twice"


def test_an_arrival_from_a_shard_that_there_is_not_is_a_fault(transit: Transit) -> None:
    transit.add_arrivals(1, [arrived(debt(1), source=500)])
    fit = transit_fits(transit, READ_TO)
    assert fit.suspects == []
    [fault] = fit.faults
    assert fault == "shard 1: log row 1 arrived and was never owed: there is no shard 500"


def test_memory_does_not_grow_with_what_crossed(transit: Transit) -> None:
    """A list of that many would take several times the limit."""
    before = apsw.memory_used()
    owed = debt(0)
    transit.add_debts(0, (owed._replace(log_sequence=n) for n in range(MANY)))
    one = arrived(owed)
    assert apsw.memory_used() - before < SQLITE_LIMIT_BYTES
    transit.add_outbox(0, (owed._replace(log_sequence=n) for n in range(MANY)))
    transit.add_arrivals(1, itertools.repeat(one, 1))
    assert sum(1 for _ in transit.on_the_way()) == MANY - 1
    assert apsw.memory_used() - before < SQLITE_LIMIT_BYTES


def test_without_room_on_the_disk_it_says_what_to_do(transit: Transit) -> None:
    transit._db.execute("PRAGMA max_page_count = 10")
    with pytest.raises(Complaint, match="SQLITE_TMPDIR"):
        transit.add_debts(0, (debt(n) for n in range(10_000)))
