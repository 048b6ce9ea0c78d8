"""Status reports of an OSDP reader: which of them is an open door, and which a fault."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from osdp import StatusReportType

from edge_agents.devices.osdp_reports import (
    CONTACT_FAULT,
    POWER,
    READER_AWAY,
    TAMPER,
    OsdpReports,
)

INPUT, OUTPUT = StatusReportType.Input, StatusReportType.Output
LOCAL, REMOTE = StatusReportType.Local, StatusReportType.Remote


@pytest.mark.parametrize(
    ("kind", "report", "openings", "faults"),
    [
        (INPUT, b"\x01", 1, []),
        (INPUT, b"\x00", 0, []),
        (INPUT, b"\x00\x01", 0, []),
        (INPUT, b"\x02", 0, [CONTACT_FAULT]),
        (INPUT, b"\xff", 0, [CONTACT_FAULT]),
        (OUTPUT, b"\x01", 0, []),
        (LOCAL, b"\x01\x00", 0, [TAMPER]),
        (LOCAL, b"\x00\x01", 0, [POWER]),
        (LOCAL, b"\x01", 0, [TAMPER]),
        (REMOTE, b"\x01", 0, [READER_AWAY]),
        (REMOTE, b"\x00\x02", 0, [TAMPER]),
        (INPUT, b"", 0, []),
        (9, b"\x01", 0, []),
    ],
)
def test_a_report(kind: int, report: bytes, openings: int, faults: list[str]) -> None:
    door = OsdpReports()
    door.take(kind, report)
    assert (door.openings, door.stands_open, door.faults) == (openings, bool(openings), faults)


def test_a_fault_is_over_when_its_own_kind_says_so() -> None:
    """And one of the contact outlives the connection: nobody has seen it mended."""
    door = OsdpReports()
    door.take(INPUT, b"\x02")
    door.take(LOCAL, b"\x01\x01")
    door.restart()
    assert (door.has_contact, door.faults) == (False, [CONTACT_FAULT, TAMPER, POWER])
    door.take(LOCAL, b"\x00\x00")
    door.take(INPUT, b"\x00")
    assert (door.has_contact, door.faults) == (True, [])


@given(st.lists(st.tuples(st.integers(0, 5), st.binary(max_size=4)), max_size=12))
def test_openings_are_inputs_that_change_to_one(reports: list[tuple[int, bytes]]) -> None:
    """Whatever else is reported between them."""
    door, expected, is_open = OsdpReports(), 0, False
    for kind, report in reports:
        door.take(kind, report)
        if kind == INPUT and report and report[0] < 2:
            expected += report[0] and not is_open
            is_open = bool(report[0])
    assert (door.openings, door.stands_open) == (expected, is_open)
