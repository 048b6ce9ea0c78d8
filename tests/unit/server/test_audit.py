"""The audit log of a real switch: every act of an operator is in it, chained, without names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import apsw
import grpc
import pytest
from google.protobuf import descriptor_pool
from google.protobuf.message_factory import GetMessageClass

from kessai.account_number import format_account, make_account
from kessai.v1 import account_pb2, audit_pb2, device_pb2
from kessai.v1.account_pb2_grpc import AccountServiceStub
from kessai.v1.audit_pb2_grpc import AuditServiceStub
from kessai.v1.device_pb2_grpc import DeviceServiceStub
from server.identity.acts import ACTS, IN_DIRECTORY
from server.identity.permissions import OPERATOR, PERMISSIONS
from tests.running import RunningSwitch, fresh_id, kessai

LIMIT_S = 60.0
NAME = "Erika Mustermann"


@pytest.fixture(scope="module")
def switch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSwitch]:
    """A switch with one account of a shop."""
    running = RunningSwitch.start(tmp_path_factory.mktemp("audit") / "switch", shards=1)
    try:
        running.open_account("merchant/shop", 7)
        yield running
    finally:
        running.kill()


def records(switch: RunningSwitch, **wanted: str) -> list[audit_pb2.AuditRecord]:
    """What stands in the log."""
    with switch.channel() as channel:
        request = audit_pb2.ListAuditRecordsRequest(page_size=500, **wanted)  # type: ignore[arg-type]
        return list(AuditServiceStub(channel).ListAuditRecords(request, timeout=LIMIT_S).records)


def call(switch: RunningSwitch, method: str) -> None:
    """Call a method with a request that holds nothing but an id."""
    service, _, name = method[1:].partition("/")
    described = descriptor_pool.Default().FindServiceByName(service).FindMethodByName(name)
    request = GetMessageClass(described.input_type)()
    if "request_id" in described.input_type.fields_by_name:
        request.request_id = fresh_id()  # type: ignore[attr-defined]
    with switch.channel() as channel, suppress(grpc.RpcError):
        unary: Any = channel.unary_unary(method)
        unary(request.SerializeToString(), timeout=LIMIT_S)


def test_every_method_by_which_an_operator_changes_something_is_an_act() -> None:
    """A new one must be entered; what is named Get or List changes nothing."""
    changing = {
        method
        for method, kinds in PERMISSIONS.items()
        if OPERATOR in kinds and method.startswith("/kessai.")
        if not method.rpartition("/")[2].startswith(("Get", "List"))
    }
    assert changing == set(ACTS)
    assert set(ACTS) >= IN_DIRECTORY


@pytest.mark.parametrize("method", sorted(ACTS))
def test_every_act_is_recorded(switch: RunningSwitch, method: str) -> None:
    """Also one that is refused: who, what, the request, and why."""
    before = records(switch)[-1].sequence
    call(switch, method)
    written = [record for record in records(switch) if record.sequence > before]
    assert {record.method for record in written} == {method.removeprefix("/kessai.v1.")}
    assert {record.operator for record in written} == {"operator/operator"}
    assert written[-1].outcome in (
        audit_pb2.AUDIT_OUTCOME_ACCEPTED,
        audit_pb2.AUDIT_OUTCOME_REFUSED,
    )
    assert written[-1].reason != "INTERNAL"
    assert bool(written[-1].reason) == (written[-1].outcome == audit_pb2.AUDIT_OUTCOME_REFUSED)
    assert not any(record.open for record in written)
    if written[-1].outcome == audit_pb2.AUDIT_OUTCOME_ACCEPTED or method not in IN_DIRECTORY:
        assert written[0].begun_sequence == 0


def test_what_an_operator_did_holds_no_names(switch: RunningSwitch) -> None:
    """References only: the account, the merchant, the phone. Listed by filters, and as JSON."""
    account = switch.open_account("wallet/ann", 42, cash=500)
    switch.create_merchant("shop", NAME, format_account(make_account(1, 7)))
    switch.name_wallet("ann", NAME)
    with switch.channel() as channel:
        request = account_pb2.WithdrawCashRequest(request_id=fresh_id(), account_number=account)
        request.amount.amount_minor, request.amount.currency_code = 900, "EUR"
        AccountServiceStub(channel).WithdrawCash(request, timeout=LIMIT_S)
    [begun, ended] = records(switch, method="AccountService/WithdrawCash", object=account)
    assert (begun.outcome, ended.begun_sequence) == (audit_pb2.AUDIT_OUTCOME_BEGUN, begun.sequence)
    assert (ended.outcome, ended.reason) == (
        audit_pb2.AUDIT_OUTCOME_REFUSED,
        "INSUFFICIENT_FUNDS",
    )
    assert ended.request_id == request.request_id
    everything = "".join(str(record) for record in records(switch))
    assert NAME not in everything
    assert {record.object for record in records(switch)} >= {account, "shop", "wallet/ann"}
    listed = kessai("audit", "--data", str(switch.folder), "--json", "--object", account)
    assert [json.loads(line)["outcome"] for line in listed.stdout.splitlines()][-1] == "refused"
    assert "verifies" in kessai("audit", "verify", "--data", str(switch.folder)).stdout


def test_a_changed_log_does_not_verify(tmp_path: Path) -> None:
    """A record that is altered, removed or put in; `ledger verify` says so, too."""
    switch = RunningSwitch.start(tmp_path / "switch", shards=1)
    try:
        switch.open_account("merchant/shop", 7)
        with switch.channel() as channel:
            request = device_pb2.RevokeDeviceRequest(request_id=fresh_id(), device="agent/a/b")
            with pytest.raises(grpc.RpcError):
                DeviceServiceStub(channel).RevokeDevice(request, timeout=LIMIT_S)
    finally:
        switch.stop()
    data = ("--data", str(switch.folder))
    head = kessai("audit", "verify", *data).stdout.split()[-1]
    assert kessai("audit", "verify", *data, "--head", head, check=False).returncode == 0
    for change in (
        "UPDATE audit_record SET object = 'agent/a/c' WHERE sequence = 4",
        "DELETE FROM audit_record WHERE sequence = 2",
    ):
        connection = apsw.Connection(str(switch.folder / "directory.db"))
        connection.execute(change)
        connection.close()
        for words in (("audit", "verify"), ("ledger", "verify")):
            said = kessai(*words, *data, check=False)
            assert said.returncode == 1
            assert "does NOT verify" in said.stderr
    connection = apsw.Connection(str(switch.folder / "directory.db"))
    connection.execute("DELETE FROM audit_record WHERE sequence > 1")
    connection.close()
    assert kessai("audit", "verify", *data, check=False).returncode == 0, "a cut chain is whole"
    cut = kessai("audit", "verify", *data, "--head", head, check=False)
    assert cut.returncode == 1, "but not up to the place that was noted"
