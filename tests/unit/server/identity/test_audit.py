"""The audit within the directory: one commit with the act, open acts, refusals that are limited."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kessai.audit_chain import faults_of
from kessai.v1.audit_pb2 import AUDIT_OUTCOME_ACCEPTED, AuditRecord
from server.domain.directory import AuditFilter
from server.identity.audit import REFUSALS_AN_HOUR, Act, Audit
from server.identity.refusals import FieldRefused
from tests.unit.server.ports import Switch

HOUR_US = 3_600_000_000


@pytest.fixture
def switch(tmp_path: Path) -> Iterator[Switch]:
    """The parts of a switch."""
    made = Switch(tmp_path)
    yield made
    made.directory.close()


def written(switch: Switch) -> list[AuditRecord]:
    """All records; their chain must hold."""
    found = switch.audit.page(AuditFilter(), 0, 1000)
    assert list(faults_of(found)) == []
    return found


def test_an_act_and_its_record_are_one_commit(switch: Switch) -> None:
    """Neither without the other, also if the act fails half-way."""
    act = Act("operator/joe", "HolderService/SetRiderCategory", "", "wallet/ann")
    switch.audit.do(act, lambda: switch.holders.set_rider_category("ann", "child"))
    assert [record.outcome for record in written(switch)] == [AUDIT_OUTCOME_ACCEPTED]

    def half() -> None:
        switch.holders.set_rider_category("ann", "senior")
        raise FieldRefused("x", "no")

    with pytest.raises(FieldRefused):
        switch.audit.do(Act("operator/joe", "HolderService/SetRiderCategory"), half)
    assert len(written(switch)) == 1
    rows = switch.directory.file.rows("SELECT category FROM rider")
    assert rows == [("child",)]


def test_an_act_that_was_cut_off_has_no_outcome(switch: Switch, tmp_path: Path) -> None:
    """It shows as open after the restart; one that ended does not."""
    acts = [Act("operator/joe", "AccountService/WithdrawCash", "", str(n)) for n in range(3)]
    for act in acts:
        switch.audit.begin(act)
    switch.audit.accept(acts[0])
    switch.audit.refuse(acts[2], "INSUFFICIENT_FUNDS")
    switch.directory.close()
    again = Switch(tmp_path)
    assert [record.object for record in written(again) if record.open] == ["1"]
    again.directory.close()


def test_refusals_are_limited(switch: Switch) -> None:
    """The last one says so; what was done is always written, and another hour begins anew."""
    act = Act("operator/joe", "DeviceService/RevokeDevice", "", "agent/a/b")
    for _ in range(REFUSALS_AN_HOUR * 3):
        switch.audit.refuse(Act(act.operator, act.method), "FIELD_INVALID")
    found = written(switch)
    assert len(found) == REFUSALS_AN_HOUR
    assert found[-1].reason == "REFUSALS_NOT_LISTED"
    switch.audit.accept(act)
    switch.audit.refuse(Act("operator/ann", act.method), "FIELD_INVALID")
    switch.clock.ahead_us = HOUR_US
    switch.audit.refuse(Act(act.operator, act.method), "FIELD_INVALID")
    assert len(written(switch)) == REFUSALS_AN_HOUR + 3


def test_a_clean_chain_has_no_faults_and_every_change_is_one(switch: Switch) -> None:
    """Any field of any record, an order, and a record that was left out."""
    audit = Audit(switch.directory.file, switch.clock)
    for number in range(4):
        audit.accept(Act("operator/joe", "DeviceService/CreateMerchant", "", f"shop-{number}"))
    found = written(switch)
    for field in ("operator", "method", "request_id", "object", "reason"):
        changed = [AuditRecord.FromString(record.SerializeToString()) for record in found]
        setattr(changed[1], field, "other")
        assert list(faults_of(changed))
    assert list(faults_of(found[1:]))
    assert list(faults_of([found[0], found[2], found[3]]))
    assert list(faults_of([found[1], found[0], found[2], found[3]]))
