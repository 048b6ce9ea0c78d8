"""`buf curl` learns the services by reflection and calls them: all it gets is a certificate."""

from __future__ import annotations

import json
import subprocess
import sys
from base64 import b64decode
from pathlib import Path
from typing import Any

from google.rpc.error_details_pb2 import ErrorInfo  # type: ignore[import-untyped]

from kessai.account_number import format_account, make_account
from tests.running import RunningSwitch, fresh_id

BUF = str(Path(sys.executable).with_name("buf"))
UNKNOWN_ACCOUNT = format_account(make_account(9999, 99_999_999))


def curl(
    switch: RunningSwitch, *words: str, path: str = "", certificate: bool = True
) -> subprocess.CompletedProcess[str]:
    """Call the main port with the operator's certificate, or with none."""
    folder = switch.folder / "operator"
    tls = ["--cacert", str(folder / "root.crt")]
    if certificate:
        tls += ["--cert", str(folder / "tls.crt"), "--key", str(folder / "tls.key")]
    command = [BUF, "curl", "--protocol", "grpc", *tls, *words, f"https://{switch.address}{path}"]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)


def call(switch: RunningSwitch, method: str, request: dict[str, Any]) -> dict[str, Any]:
    """Call a method that must succeed."""
    ended = curl(switch, "-d", json.dumps(request), path=f"/kessai.v1.{method}")
    assert ended.returncode == 0, ended.stderr
    response: dict[str, Any] = json.loads(ended.stdout)
    return response


def test_reflection_lists_every_method(switch: RunningSwitch) -> None:
    listed = curl(switch, "--list-methods").stdout.splitlines()
    assert "kessai.v1.PaymentService/SettlePayment" in listed
    assert "kessai.v1.AccountService/DepositCash" in listed
    assert "kessai.v1.DeviceService/RevokeDevice" in listed
    assert "grpc.health.v1.Health/Check" in listed


def test_health(switch: RunningSwitch) -> None:
    ended = curl(switch, "-d", "{}", path="/grpc.health.v1.Health/Check")
    assert json.loads(ended.stdout) == {"status": "SERVING"}


def test_an_account_is_opened_and_read(switch: RunningSwitch) -> None:
    request = {
        "request_id": fresh_id(),
        "owner": "wallet/ada",
        "currency_code": "EUR",
        "branch": 1,
        "number": 100,
    }
    opened = call(switch, "AccountService/OpenAccount", request)["account"]
    read = call(switch, "AccountService/GetAccount", {"account_number": opened["accountNumber"]})
    assert read["account"] == opened
    assert opened["owner"] == "wallet/ada"


def test_an_error_carries_its_reason(switch: RunningSwitch) -> None:
    request = json.dumps({"account_number": UNKNOWN_ACCOUNT})
    ended = curl(switch, "-d", request, path="/kessai.v1.AccountService/GetAccount")
    assert ended.returncode != 0
    error = json.loads(ended.stderr)
    assert error["code"] == "not_found"
    [detail] = error["details"]
    info = ErrorInfo.FromString(b64decode(detail["value"] + "=="))
    assert (info.reason, info.domain) == ("RESOURCE_UNKNOWN", "kessai")


def test_nobody_gets_in_without_a_certificate(switch: RunningSwitch) -> None:
    ended = curl(switch, "--list-methods", certificate=False)
    assert ended.returncode != 0
    assert "kessai.v1" not in ended.stdout
