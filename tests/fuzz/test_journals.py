"""SQLite files that agents and phones keep, damaged on the disk: journals, rides, the book of an
entrance, the deny list, a phone's purchases, bills, tickets and admissions."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agents.deny_list import CREDENTIAL, DenyList
from edge_agents.entrance.book import EntranceBook, EntryState
from edge_agents.entrance.book import Entry as DoorEntry
from edge_agents.gate.rides import Rides
from edge_agents.journal import Journal, PaymentState, read_journal
from kessai.envelope import BILL
from kessai.v1 import tap_pb2
from kessai.v1.bill_pb2 import Bill
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.fare_pb2 import Admission
from kessai.v1.fleet_pb2 import DenyListUpdate
from kessai.v1.ticket_pb2 import Ticket
from simulators.phone.admissions import Admissions
from simulators.phone.bill_store import BillStore
from simulators.phone.store import Decision, Store
from simulators.phone.ticket_store import TicketStore
from tests.fuzz.mangling import bytes_like, examples, read_or_complain
from tests.unit.edge_agents.parties import (
    NOW_US,
    make_pending,
    make_receipt,
    make_sealed,
    sign_receipt,
)

HOLDER, RIDE = b"h" * 65, b"r" * 16


def use_journal(folder: Path) -> object:
    """What an agent asks of its journal at start, and `kessai agent payments`."""
    with closing(Journal(folder)) as journal:
        for state in PaymentState:
            journal.in_state(state)
        journal.unprinted()
        journal.undelivered(5)
    return read_journal(folder)


def use_rides(folder: Path) -> object:
    with closing(Rides(folder)) as rides:
        rides.paid_and_inside(HOLDER, 0)
        rides.find_exit(RIDE)
        return rides.newest_entry(HOLDER)


def use_book(folder: Path) -> object:
    with closing(EntranceBook(folder)) as book:
        book.decided_alone()
        book.waiting(10)
        return [entry for state in EntryState for entry in book.in_state(state)]


def use_deny_list(folder: Path) -> object:
    with closing(DenyList(folder)) as denied:
        return denied.is_denied(CREDENTIAL, b"a")


def use_purchases(folder: Path) -> object:
    with closing(Store(folder)) as store:
        return [(each.read_request(), each.read_receipt()) for each in store.history(10)]


def use_bills(folder: Path) -> object:
    with closing(BillStore(folder)) as bills:
        return [(bill.bill, bill.receipt) for bill in bills.history(10)]


def use_tickets(folder: Path) -> object:
    with closing(TicketStore(folder)) as tickets:
        return tickets.all()


def use_admissions(folder: Path) -> object:
    with closing(Admissions(folder)) as admissions:
        return [(ride.admission, ride.note) for ride in admissions.history()]


# The file -> who uses it.
FILES: dict[str, Callable[[Path], object]] = {
    "journal.db": use_journal,
    "rides.db": use_rides,
    "entrance.db": use_book,
    "deny_list.db": use_deny_list,
    "purchases.sqlite3": use_purchases,
    "bills.sqlite3": use_bills,
    "tickets.sqlite3": use_tickets,
    "admissions.sqlite3": use_admissions,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every file, and something in each."""
    made = tmp_path_factory.mktemp("journals")
    pending, signed = make_pending(), Signed(type="any", payload=b"\x0a\x04kept")
    receipt = sign_receipt(make_receipt(pending))
    with closing(Journal(made)) as journal:
        journal.request(pending)
        journal.authorize(pending.request_id, make_sealed(pending))
        journal.conclude(pending.request_id, receipt, settled=True)
    with closing(Rides(made)) as rides:
        rides.admit(RIDE, HOLDER, signed, NOW_US)
        rides.end_ride(RIDE, HOLDER, signed, NOW_US)
    with closing(EntranceBook(made)) as book:
        book.ask(DoorEntry(RIDE, b"t" * 16, 1, signed, NOW_US))
    with closing(DenyList(made)) as denied:
        update = DenyListUpdate(version=1, complete=True)
        update.entries.add(kind=CREDENTIAL, id=b"a").expire_time.FromMicroseconds(NOW_US + 10**9)
        denied.take(update, NOW_US)
    raw = pending.signed.SerializeToString()
    with closing(Store(made)) as store:
        store.decide(Decision(b"h" * 32, raw, "Shop", tap_pb2.TAP_STATUS_AUTHORIZED, b"", NOW_US))
        store.keep_receipt(b"h" * 32, receipt.SerializeToString())
    with closing(BillStore(made)) as bills:
        own = bills.add(Signed(type=BILL, payload=Bill(description="Lunch").SerializeToString()))
        bills.keep_receipt(own, receipt)
    ticket = Ticket(ticket_id=b"t" * 16, venue_name="Town Hall")
    with closing(TicketStore(made)) as tickets:
        tickets.keep([(ticket, Signed(payload=ticket.SerializeToString()))])
    admission = Admission(admission_id=RIDE, merchant_id="rail")
    kept = Signed(payload=admission.SerializeToString())
    with closing(Admissions(made)) as admissions:
        admissions.keep(admission, kept, signed)
        admissions.close_ride(RIDE, signed)
    return made


@pytest.mark.parametrize("name", FILES)
@examples(1)
@given(data=st.data())
def test_a_damaged_file(tmp_path: Path, folder: Path, name: str, data: st.DataObject) -> None:
    """What is left is used, or one line says that the file is damaged."""
    good = (folder / name).read_bytes()
    place = tmp_path / "used"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    (place / name).write_bytes(data.draw(bytes_like(good)))
    read_or_complain(lambda: FILES[name](place))


def spoil(db: sqlite3.Connection) -> None:
    """Put garbage into every document of every row."""
    for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        for _, column, kind, _, _, is_key in db.execute(f"PRAGMA table_info({table})").fetchall():
            if kind == "BLOB" and not is_key and not column.endswith("_id"):
                db.execute(f"UPDATE {table} SET {column} = x'ff' WHERE {column} != ''")
    db.commit()


@pytest.mark.parametrize("name", FILES)
def test_values_that_are_none(tmp_path: Path, folder: Path, name: str) -> None:
    """In a file whose pages are sound."""
    shutil.copy(folder / name, tmp_path / name)
    with closing(sqlite3.connect(tmp_path / name)) as db:
        spoil(db)
    read_or_complain(lambda: FILES[name](tmp_path))


def test_every_file_is_good_before(folder: Path) -> None:
    for name, use in FILES.items():
        assert use(folder), name
