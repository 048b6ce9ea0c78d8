"""The rides in a phone: kept once, open until the first note, and there after a restart."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from kessai.v1.envelope_pb2 import Signed
from kessai.v1.fare_pb2 import Admission, ExitNote
from simulators.phone.admissions import Admissions

FIRST, SECOND = b"1" * 16, b"2" * 16
CERTIFICATE, NOTE = Signed(type="certificate"), Signed(type="exit-note")


def admission(ride: bytes, merchant: str = "line") -> tuple[Admission, Signed]:
    made = Admission(admission_id=ride, merchant_id=merchant, station_id="harbour")
    return made, Signed(type="admission", payload=made.SerializeToString())


def test_an_admission_is_open_until_its_note_comes(tmp_path: Path) -> None:
    with closing(Admissions(tmp_path)) as rides:
        rides.keep(*admission(FIRST), CERTIFICATE)
        rides.keep(*admission(FIRST), CERTIFICATE)
        kept = rides.open_ride("line")
        assert kept is not None
        assert (kept.admission.admission_id, kept.certificate) == (FIRST, CERTIFICATE)
        assert rides.open_ride("other") is None
        assert len(rides.history()) == 1
        note = Signed(type="exit-note", payload=ExitNote(station_id="b").SerializeToString())
        rides.close_ride(FIRST, note)
        rides.close_ride(FIRST, NOTE)
        assert rides.open_ride("line") is None
        closed = rides.find(FIRST)
        assert closed is not None
        assert closed.note is not None
        assert closed.note.station_id == "b"


def test_what_was_kept_is_there_after_a_restart(tmp_path: Path) -> None:
    with closing(Admissions(tmp_path)) as before:
        before.keep(*admission(FIRST), CERTIFICATE)
        before.keep(*admission(SECOND), CERTIFICATE)
    with closing(Admissions(tmp_path)) as after:
        kept = after.open_ride("line")
        assert kept is not None
        assert kept.admission.admission_id == SECOND
