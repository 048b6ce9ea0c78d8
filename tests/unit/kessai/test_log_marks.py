"""Log marks: the newest place of each shard stays, over restarts, and differences are found."""

from __future__ import annotations

from pathlib import Path

import pytest

from kessai.log_marks import FILE_NAME, PAGE, LogMarks, first_difference
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.ledger_pb2 import (
    LOG_PLACE_STATE_ABSENT,
    LOG_PLACE_STATE_LOST,
    LOG_PLACE_STATE_PRESENT,
    LogPlace,
)
from kessai.v1.payment_pb2 import LogPosition, Receipt

HASH, OTHER = b"h" * 32, b"o" * 32
THERE = LogPlace(state=LOG_PLACE_STATE_PRESENT, chain_hash=HASH)


def receipt(shard: int, sequence: int, amount: int = 0) -> Signed:
    """A receipt as it was verified before."""
    at = LogPosition(shard=shard, sequence=sequence, chain_hash=HASH)
    paid = Receipt(log_position=at)
    paid.amount.amount_minor = amount
    return Signed(payload=paid.SerializeToString())


def test_the_newest_of_each_shard_stays(tmp_path: Path) -> None:
    marks = LogMarks(tmp_path)
    for shard, sequence in ((0, 5), (1, 2), (0, 4), (0, 7), (1, 2)):
        marks.keep(receipt(shard, sequence))
    marks.keep(Signed(payload=Receipt().SerializeToString()))  # a decline that is in no log
    marks.keep(Signed(payload=b"nothing that can be read"))
    assert list(marks.pages()) == [[receipt(0, 7), receipt(1, 2)]]
    assert list(LogMarks(tmp_path).pages()) == [[receipt(0, 7), receipt(1, 2)]]


def test_two_processes_of_a_device_lose_none_of_each_other(tmp_path: Path) -> None:
    one, other = LogMarks(tmp_path), LogMarks(tmp_path)
    one.keep(receipt(0, 7))
    other.keep(receipt(1, 2))
    one.keep(receipt(2, 1))
    assert list(LogMarks(tmp_path).pages()) == [[receipt(0, 7), receipt(1, 2), receipt(2, 1)]]


def test_list_and_alarm_stay_too(tmp_path: Path) -> None:
    marks = LogMarks(tmp_path)
    marks.keep_version(7)
    marks.keep_version(3)
    assert marks.set_alarm("row 7 is gone")
    assert not marks.set_alarm("row 7 is gone")
    again = LogMarks(tmp_path)
    assert (again.deny_list_version, again.alarm) == (7, "row 7 is gone")
    assert again.set_alarm("")
    assert LogMarks(tmp_path).alarm == ""


def test_what_was_lost_is_told_once_and_forgotten(tmp_path: Path) -> None:
    marks = LogMarks(tmp_path)
    for shard in (0, 1):
        marks.keep(receipt(shard, 7))
    lost = LogPlace(state=LOG_PLACE_STATE_LOST, kept_sequence=4)
    lost.restore_time.FromJsonString("2026-11-30T12:00:00Z")
    (page,) = marks.pages()
    assert first_difference(page, [lost, THERE]) is None
    assert marks.begin_anew(page, [THERE, THERE]) == ""
    told = marks.begin_anew(page, [lost, THERE])
    assert told.startswith("the switch was restored at 2026-11-30 12:00 UTC and lost rows 5 to 7")
    again = LogMarks(tmp_path)
    assert list(again.pages()) == [[receipt(1, 7)]]
    assert (again.take_notice(), again.take_notice()) == (told, "")
    assert LogMarks(tmp_path).take_notice() == ""
    again.keep(receipt(0, 5))  # the next one of that shard, though it is an earlier row
    assert list(again.pages()) == [[receipt(0, 5), receipt(1, 7)]]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"receipts": ["x"]}'])
def test_a_damaged_file_is_begun_anew(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    marks = LogMarks(tmp_path)
    marks.keep(receipt(0, 1))
    assert list(LogMarks(tmp_path).pages()) == [[receipt(0, 1)]]


def test_one_question_has_a_bounded_number_of_places(tmp_path: Path) -> None:
    marks = LogMarks(tmp_path)
    for shard in range(PAGE + 1):
        marks.keep(receipt(shard, 1))
    assert [len(page) for page in marks.pages()] == [PAGE, 1]


def test_the_first_place_that_differs_is_found() -> None:
    asked = [receipt(0, 7), receipt(1, 2)]
    assert first_difference(asked, [THERE, THERE]) is None
    for wrong in (
        LogPlace(state=LOG_PLACE_STATE_PRESENT, chain_hash=OTHER),
        LogPlace(state=LOG_PLACE_STATE_ABSENT),
        LogPlace(state=LOG_PLACE_STATE_ABSENT, chain_hash=HASH),
        LogPlace(chain_hash=HASH),
    ):
        found = first_difference(asked, [THERE, wrong])
        assert found is not None
        assert (found.shard, found.sequence) == (1, 2)
    assert first_difference(asked, [THERE]) is not None
    assert first_difference(asked, []) is not None
