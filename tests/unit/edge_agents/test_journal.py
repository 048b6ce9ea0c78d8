"""The journal: what was stored is there after a crash, and nothing goes a way it must not."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agents.accepted import HolderMark
from edge_agents.journal import FILE_NAME, Journal, PaymentState, WrongState, read_journal
from kessai.complaint import Complaint
from kessai.v1.holder_pb2 import HolderAnswer
from tests.unit.edge_agents.parties import (
    NOW_US,
    make_pending,
    make_receipt,
    make_sealed,
    sign_receipt,
)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path)
    yield journal
    journal.close()


def test_a_payment_goes_its_way(journal: Journal, tmp_path: Path) -> None:
    pending, receipt = make_pending(), None
    sealed, receipt = make_sealed(pending), sign_receipt(make_receipt(pending))
    journal.request(pending)
    assert journal.in_state(PaymentState.REQUESTED)[0].pending == pending
    journal.authorize(pending.request_id, sealed)
    assert journal.in_state(PaymentState.AUTHORIZED)[0].sealed == sealed
    journal.conclude(pending.request_id, receipt, settled=True)
    entry = journal.newest_with_receipt()
    assert entry is not None
    assert entry.receipt == receipt
    assert [e.pending for e in journal.unprinted()] == [pending]
    assert [e.pending for e in journal.undelivered(3)] == [pending]
    journal.mark_printed(pending.request_id)
    journal.mark_delivered(pending.request_id)
    assert not journal.unprinted()
    assert not journal.undelivered(3)
    assert [e.state for e in read_journal(tmp_path)] == [PaymentState.SETTLED]


def test_everything_is_there_again_after_closing(tmp_path: Path) -> None:
    """The very bytes: the same request is presented and sent again."""
    pending = make_pending()
    sealed = make_sealed(pending)
    first = Journal(tmp_path)
    first.request(pending)
    first.authorize(pending.request_id, sealed)
    first.close()
    second = Journal(tmp_path)
    entry = second.in_state(PaymentState.AUTHORIZED)[0]
    second.close()
    assert entry.pending.signed.SerializeToString() == pending.signed.SerializeToString()
    assert entry.sealed == sealed


def test_a_declined_payment_is_not_printed(journal: Journal) -> None:
    pending = make_pending()
    journal.request(pending)
    journal.authorize(pending.request_id, make_sealed(pending))
    journal.conclude(pending.request_id, sign_receipt(make_receipt(pending)), settled=False)
    assert journal.in_state(PaymentState.DECLINED)
    assert not journal.unprinted()


def test_no_step_is_left_out_or_taken_twice(journal: Journal) -> None:
    pending = make_pending()
    sealed, receipt = make_sealed(pending), sign_receipt(make_receipt(pending))
    with pytest.raises(WrongState):
        journal.authorize(pending.request_id, sealed)
    journal.request(pending)
    with pytest.raises(WrongState):
        journal.request(pending)
    with pytest.raises(WrongState):
        journal.conclude(pending.request_id, receipt, settled=True)
    journal.authorize(pending.request_id, sealed)
    with pytest.raises(WrongState):
        journal.authorize(pending.request_id, make_sealed(pending))
    journal.conclude(pending.request_id, receipt, settled=True)
    with pytest.raises(WrongState):
        journal.conclude(pending.request_id, receipt, settled=False)
    with pytest.raises(WrongState):
        journal.abandon(pending.request_id, "cancelled")
    assert journal.in_state(PaymentState.SETTLED)


def test_an_abandoned_payment_cannot_be_authorised(journal: Journal) -> None:
    """A phone's answer that comes after CANCEL goes nowhere."""
    pending = make_pending()
    journal.request(pending)
    journal.abandon(pending.request_id, "cancelled")
    with pytest.raises(WrongState):
        journal.authorize(pending.request_id, make_sealed(pending))
    assert journal.in_state(PaymentState.ABANDONED)[0].note == "cancelled"


def test_order_numbers_are_never_used_again(tmp_path: Path) -> None:
    first = Journal(tmp_path)
    assert first.next_order_number() == 1
    first.request(make_pending("till-1-000001"))
    assert first.next_order_number() == 2
    first.close()
    second = Journal(tmp_path)
    assert second.next_order_number() == 2
    with pytest.raises(WrongState):
        second.request(make_pending("till-1-000001"))
    second.close()


def test_two_agents_cannot_share_a_folder(journal: Journal, tmp_path: Path) -> None:
    with pytest.raises(Complaint, match="Another agent runs"):
        Journal(tmp_path)


def test_the_folder_is_free_again_after_closing(tmp_path: Path) -> None:
    Journal(tmp_path).close()
    Journal(tmp_path).close()


def test_a_missing_folder_or_a_foreign_file_is_one_complaint(tmp_path: Path) -> None:
    with pytest.raises(Complaint, match="cannot be used"):
        Journal(tmp_path / "none")
    (tmp_path / FILE_NAME).write_bytes(b"no database, but long enough to look like one" * 10)
    with pytest.raises(Complaint, match="cannot be opened"):
        Journal(tmp_path)


def test_a_journal_of_a_later_version_is_left_alone(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / FILE_NAME)
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(Complaint, match="another version"):
        Journal(tmp_path)


def test_a_journal_of_the_version_before_goes_on(tmp_path: Path) -> None:
    """What waits in it still waits, and counts with the credentials that name no wallet."""
    journal = Journal(tmp_path)
    pending = make_pending()
    journal.request(pending)
    journal.authorize(pending.request_id, make_sealed(pending))
    journal.accept(pending.request_id, HolderMark(b"c" * 16), HolderAnswer(), NOW_US)
    journal.close()
    db = sqlite3.connect(tmp_path / "journal.db")
    db.execute("DROP TABLE unpaid")
    db.execute("DROP INDEX payment_admission")
    db.execute("DROP INDEX payment_accepted")
    for column in ("wallet_handle", "former_wallet_handle", "holder_answer", "admission_id"):
        db.execute(f"ALTER TABLE payment DROP COLUMN {column}")
    db.execute("PRAGMA user_version = 2")
    db.close()
    journal = Journal(tmp_path)
    assert journal.accepted.waiting(HolderMark(b"d" * 16)).of_wallet == 1
    assert journal.accepted.waiting(HolderMark(b"c" * 16, b"a" * 16, b"b" * 16)).of_wallet == 0
    assert journal.accepted.answer_of(pending.request_id) is None
    assert journal.unpaid_since(0) == (0, {})
    journal.close()


def test_goods_that_nobody_paid_are_counted(journal: Journal) -> None:
    """Once for each payment; those whose price nobody knows, too."""
    pending = make_pending()
    for give_out_us in (NOW_US, NOW_US + 5):
        journal.note_unpaid(give_out_us, pending)
    journal.note_unpaid(NOW_US, None)
    journal.note_unpaid(NOW_US, None)
    assert journal.unpaid_since(NOW_US) == (3, {"EUR": pending.total.minor})
    assert journal.unpaid_since(NOW_US + 1) == (0, {})


def test_it_can_be_read_only_once_it_is_there(tmp_path: Path) -> None:
    with pytest.raises(Complaint, match="no journal"):
        read_journal(tmp_path)


def test_every_write_waits_for_the_disk(journal: Journal) -> None:
    """WAL with synchronous=FULL (2): each commit is an fsync."""
    assert journal._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert journal._db.execute("PRAGMA synchronous").fetchone() == (2,)


def test_what_a_till_asks_all_day_reads_an_index(journal: Journal) -> None:
    """A journal of a million payments must not slow the next tap down."""
    for where in (
        "WHERE state = 'settled' AND printed = 0 ORDER BY number",
        "WHERE receipt IS NOT NULL AND delivered = 0 ORDER BY number DESC LIMIT 3",
        "WHERE state = 'authorized' ORDER BY number",
    ):
        plan = journal._db.execute(f"EXPLAIN QUERY PLAN SELECT * FROM payment {where}").fetchall()
        assert len(plan) == 1, plan
        assert "USING INDEX payment_" in plan[0][3], plan


WRITE_UNTIL_KILLED = """
import sys
from pathlib import Path
from edge_agents.journal import Journal
from tests.unit.edge_agents.parties import make_pending
journal = Journal(Path(sys.argv[1]))
for number in range(100_000):
    pending = make_pending(f"till-1-{number}")
    journal.request(pending)
    print(pending.payment_id, flush=True)
"""

WRITE_UNTIL_FULL = """
import resource, sys
from pathlib import Path
from edge_agents.journal import Journal
from tests.unit.edge_agents.parties import make_pending
journal = Journal(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
for number in range(100_000):
    journal.request(make_pending(f"till-1-{number}"))
print("still alive")
"""


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITE_UNTIL_KILLED, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        acknowledged = [process.stdout.readline().strip() for _ in range(25)]
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=60)
    kept = {entry.pending.payment_id for entry in read_journal(tmp_path)}
    assert set(acknowledged) <= kept
    Journal(tmp_path).close()


def test_a_failed_write_ends_the_process(tmp_path: Path) -> None:
    """With the disk full (a size limit), the process is gone before anybody goes on."""
    command = [sys.executable, "-c", WRITE_UNTIL_FULL, str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == os.EX_IOERR
    assert "the journal cannot be written" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "still alive" not in ended.stdout


def test_a_presented_payment_is_open_until_the_switch_has_spoken(journal: Journal) -> None:
    """A phone may submit it (row B2): it is not abandoned as one that nobody has is."""
    pending = make_pending()
    journal.request(pending)
    assert not journal.is_presented(pending.request_id)
    journal.present(pending.request_id)
    assert journal.is_presented(pending.request_id)
    with pytest.raises(WrongState):
        journal.abandon(pending.request_id, "cancelled")
    with pytest.raises(WrongState):
        journal.authorize(pending.request_id, make_sealed(pending))
    journal.set_aside(pending.request_id, "cancelled")
    (entry,) = journal.in_state(PaymentState.PRESENTED)
    assert entry.note == "cancelled"
    journal.conclude(pending.request_id, sign_receipt(make_receipt(pending)), settled=True)
    assert not journal.is_presented(pending.request_id)
    for change in (journal.present, lambda r: journal.abandon_presented(r, "late")):
        with pytest.raises(WrongState):
            change(pending.request_id)


def test_a_presented_payment_is_given_up_by_its_own_way_only(journal: Journal) -> None:
    pending = make_pending()
    journal.request(pending)
    with pytest.raises(WrongState):
        journal.abandon_presented(pending.request_id, "late")
    journal.present(pending.request_id)
    journal.abandon_presented(pending.request_id, "late")
    assert [e.note for e in journal.in_state(PaymentState.ABANDONED)] == ["late"]
