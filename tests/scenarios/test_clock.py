"""The switch's clock jumps: booking waits for the clock or an operator, and nothing is lost."""

from __future__ import annotations

import os
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from kessai.decline import name_of
from kessai.money import Money
from kessai.request_id import format_request_id, new_request_id
from kessai.v1.account_pb2 import DepositCashRequest
from kessai.v1.account_pb2_grpc import AccountServiceStub
from tests.running import CALL_LIMIT_S, kessai
from tests.scenarios.shifted_switch import PROGRAM, shift
from tests.scenarios.shop import Customer, Register, Shop, reason_of

LIMIT_S = 60.0
HOURS_US = 3 * 3_600_000_000
AHEAD, BACK = "jumped ahead by 3:00:00", "jumped back by 3:00:00"


@pytest.fixture
def own_shop(tmp_path: Path) -> Iterator[Shop]:
    """A shop whose switch has a clock that can be shifted."""
    shop = Shop(tmp_path, 2, program=PROGRAM)
    yield shop
    shop.close()


def pay(shop: Shop, till: Register, ann: Customer, minor: int) -> str:
    """Pay at a till; "" or the name of a decline, or of an error."""
    pending = till.ask(minor)
    sealed = ann.authorize(pending, till.terminal)
    try:
        receipt = shop.receipt(shop.settle(till.identity, pending, sealed))
    except grpc.RpcError as error:
        return reason_of(error)
    return name_of(receipt.decline_reason) if receipt.decline_reason else ""


def told(shop: Shop, what: str) -> int:
    """How many lines of the switch's log say something, but for those of refused calls."""
    lines = (shop.switch.folder / "serve.log").read_text().splitlines()
    return sum(what in line and "why=" not in line for line in lines)


def await_line(shop: Shop, what: str, count: int = 1) -> None:
    """Wait until the log says something for the so-many-th time."""
    deadline = time.monotonic() + LIMIT_S
    while told(shop, what) < count:
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def clock(shop: Shop, *words: str) -> str:
    """Run `kessai clock`."""
    return kessai("clock", *words, "--data", str(shop.switch.folder)).stdout


def jump_metric(shop: Shop) -> float:
    """What Prometheus sees of it."""
    page = urllib.request.urlopen(f"http://{shop.switch.metrics_address}/metrics", timeout=60)
    lines = page.read().decode().splitlines()
    [value] = [line.split()[1] for line in lines if line.startswith("kessai_clock_jump_seconds ")]
    return float(value)


def deposit_ahead(shop: Shop, account: str) -> None:
    """Pay cash in, by somebody whose clock shows what the switch's shows."""
    now_ms = (time.time_ns() // 1000 + HOURS_US) // 1000
    request = DepositCashRequest(
        request_id=format_request_id(new_request_id(now_ms, os.urandom)),
        account_number=account,
        amount=Money(77, "EUR").to_proto(),
    )
    with shop.switch.channel() as channel:
        answer = AccountServiceStub(channel).DepositCash(request, timeout=CALL_LIMIT_S)
    assert not answer.decline_reason


def test_a_clock_that_jumps_is_waited_for_or_confirmed(own_shop: Shop) -> None:
    """Ahead and back by itself; ahead and back with an operator's word; and over a restart."""
    shop, folder = own_shop, own_shop.switch.folder
    ann, till = shop.customer("ann", 5000), shop.register("till-1")
    assert pay(shop, till, ann, 100) == ""
    shift(folder, HOURS_US)
    assert pay(shop, till, ann, 101) == "STORE_UNAVAILABLE"
    await_line(shop, AHEAD)
    assert AHEAD in clock(shop, "status")
    assert jump_metric(shop) == pytest.approx(10_800, abs=1)
    shift(folder, 0)
    await_line(shop, "right again")
    assert pay(shop, till, ann, 102) == ""
    shift(folder, HOURS_US)
    await_line(shop, AHEAD, 2)
    assert "Booking goes on" in clock(shop, "confirm", "--yes")
    deposit_ahead(shop, ann.account)
    shift(folder, 0)
    await_line(shop, BACK)
    assert pay(shop, till, ann, 103) == "STORE_UNAVAILABLE"
    assert "Booking goes on" in clock(shop, "confirm", "--yes")
    assert pay(shop, till, ann, 104) == ""
    shop.switch.stop()
    shop.switch.restart()
    assert pay(shop, till, ann, 105) == ""
    assert (told(shop, AHEAD), told(shop, BACK)) == (2, 1)
    assert told(shop, "ahead of the switch's clock") == 1
    assert jump_metric(shop) == 0
    assert shop.switch.balance(ann.account) == 5000 + 77 - 100 - 102 - 104 - 105
