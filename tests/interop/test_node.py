"""A Node client (@grpc/grpc-js) that knows us by the protos alone: money in, read, and refused."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import google.rpc.status_pb2  # type: ignore[import-untyped]
import pytest

from kessai.account_number import format_account, make_account
from tests.running import RunningSwitch, fresh_id

HERE = Path(__file__).parent
PROTOS = HERE.parents[1] / "protos"
GOOGLE_PROTOS = Path(google.rpc.status_pb2.__file__).parents[2]

Call = dict[str, Any]
Client = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def client(node_folder: Path, switch: RunningSwitch) -> Client:
    """Give a function that makes calls one after another, and their outcomes."""

    def run(*calls: Call) -> list[dict[str, Any]]:
        identity = str(switch.folder / "operator")
        ended = subprocess.run(
            ["node", "client.mjs", switch.address, identity, str(PROTOS), str(GOOGLE_PROTOS)],
            cwd=node_folder,
            input="".join(json.dumps(call) + "\n" for call in calls),
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return [json.loads(line) for line in ended.stdout.splitlines()]

    return run


def account_call(method: str, **request: object) -> Call:
    return {"service": "AccountService", "method": method, "request": request}


def open_account(number: int) -> Call:
    return account_call(
        "OpenAccount",
        request_id=fresh_id(),
        owner="wallet/grace",
        currency_code="EUR",
        branch=1,
        number=number,
    )


def test_money_goes_in_once_however_often_it_is_sent(client: Client) -> None:
    """A 64-bit amount beyond JavaScript's own numbers arrives exactly, and is booked once."""
    account, minor = format_account(make_account(1, 200)), 2**53 + 1
    amount = {"amount_minor": str(minor), "currency_code": "EUR"}
    deposit = account_call(
        "DepositCash", request_id=fresh_id(), account_number=account, amount=amount
    )
    read = account_call("ListEntries", account_number=account)
    opened, first, second, listed = client(open_account(200), deposit, deposit, read)
    assert opened["response"]["account"]["account_number"] == account
    assert first == second == {"response": {}}
    [entry] = listed["response"]["entries"]
    assert entry["amount"] == amount
    assert entry["kind"] == "ENTRY_KIND_CASH_DEPOSIT"
    assert entry["request_id"] == deposit["request"]["request_id"]
    assert listed["response"]["account"]["balance"] == amount


def test_the_same_id_with_other_content_is_refused(client: Client) -> None:
    account = format_account(make_account(1, 201))
    deposit = account_call(
        "DepositCash",
        request_id=fresh_id(),
        account_number=account,
        amount={"amount_minor": "500", "currency_code": "EUR"},
    )
    other = json.loads(json.dumps(deposit))
    other["request"]["amount"]["amount_minor"] = "501"
    read = account_call("GetAccount", account_number=account)
    _, _, refused, after = client(open_account(201), deposit, other, read)
    assert refused["code"] == "ALREADY_EXISTS"
    [info] = refused["details"]
    assert info == {
        "type": "google.rpc.ErrorInfo",
        "reason": "REQUEST_ID_REUSED",
        "domain": "kessai",
    }
    assert after["response"]["account"]["balance"]["amount_minor"] == "500"


def test_a_bad_field_is_named(client: Client) -> None:
    [failed] = client(account_call("GetAccount", account_number="12345678901234"))
    assert failed["code"] == "INVALID_ARGUMENT"
    info, bad_request = failed["details"]
    assert (info["reason"], info["domain"]) == ("FIELD_INVALID", "kessai")
    [violation] = bad_request["field_violations"]
    assert violation["field"] == "account_number"


def test_a_call_for_terminals_is_not_for_operators(client: Client) -> None:
    call = {
        "service": "PaymentService",
        "method": "GetPayment",
        "request": {"request_id": fresh_id()},
    }
    [failed] = client(call)
    assert failed["code"] == "PERMISSION_DENIED"
    assert [detail["reason"] for detail in failed["details"]] == ["CALLER_NOT_PERMITTED"]
