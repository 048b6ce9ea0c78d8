"""Design rules 3 and 4: after a power cut at any moment, what was acknowledged is there.

Real processes on a disk that forgets what was not synced, ended with SIGKILL at random moments.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kessai.request_id import parse_request_id
from kessai.v1 import payment_pb2
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.payment_pb2 import SettlePaymentRequest
from tests.invariants.paying import SHARDS, TILLS, counter_in
from tests.unit.server.domain.commands import deposit, open_account
from tests.unit.server.shards.parts import shards_in, verify_shards
from tests.unit.server.switch.counter import ANN, SHOP
from tests.unit.server.switch.delivering import delivering

LIMIT_S, CASH = 30.0, 1_000_000
CUTS = int(os.environ.get("KESSAI_CUTS") or 3)
MOST_PAYMENTS = 150


@dataclass
class Till:
    """What the tills know after the cut: what they sent, and the receipts that they got."""

    sent: list[SettlePaymentRequest] = field(default_factory=list)
    paid: dict[bytes, Signed] = field(default_factory=dict)

    def note(self, line: str) -> None:
        """Take a whole line of the process."""
        word, *values = line.split()
        data = [bytes.fromhex(value) for value in values]
        if word == "sent":
            self.sent.append(SettlePaymentRequest.FromString(data[0]))
        else:
            self.paid[data[0]] = Signed.FromString(data[1])


async def fill(folder: Path) -> None:
    """Make the parties and their accounts; Ann is rich, and on another shard than the shop."""
    counter_in(folder, known=False).directory.close()
    with shards_in(folder, SHARDS) as shards:
        assert shards.home_of(ANN) is not shards.home_of(SHOP)
        await shards.submit(open_account(ANN))
        await shards.submit(open_account(SHOP, "merchant/shop"))
        await shards.submit(deposit(ANN, CASH))


def pay_until_cut(folder: Path, payments: int, synchronous: str = "FULL") -> Till:
    """Let the process pay that often, then cut the power."""
    till = Till()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.invariants.paying", str(folder), synchronous],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    watchdog = threading.Timer(LIMIT_S, process.kill)
    watchdog.start()
    assert process.stdout is not None
    with process.stdout as lines:
        for line in lines:
            if line.endswith("\n"):
                till.note(line)
            if len(till.paid) >= payments:
                process.kill()
    process.wait(LIMIT_S)
    watchdog.cancel()
    assert len(till.paid) >= payments
    return till


async def missing(folder: Path, till: Till) -> int:
    """Count the receipts that cannot be had again after the cut, byte by byte the same."""
    counter = counter_in(folder, known=True)
    lost = 0
    with shards_in(folder, SHARDS) as shards:
        purchases = counter.purchases(shards)
        for request_id, receipt in till.paid.items():
            found = await shards.find(request_id)
            lost += found is None
            if found is not None:
                assert await counter.find(shards, request_id) == receipt
        purchases.close()
    counter.directory.close()
    return lost


async def resend(folder: Path, till: Till) -> None:
    """Send everything again, as tills do at their start, and let all deposits arrive."""
    counter = counter_in(folder, known=True)
    async with delivering(folder, SHARDS) as (shards, depositor):
        purchases = counter.purchases(shards)
        for message in till.sent:
            request_id = parse_request_id(message.request_id)
            receipt = await purchases.settle(message, request_id, "shop", "till-1")
            assert receipt == till.paid.get(request_id, receipt)
            assert counter.read(receipt).outcome == payment_pb2.PAYMENT_OUTCOME_SETTLED
        await depositor.idle(LIMIT_S)
        ann, shop = await shards.account(ANN), await shards.account(SHOP)
        assert ann is not None
        assert shop is not None
        assert (ann.balance, shop.balance) == (CASH - len(till.sent), len(till.sent))
        purchases.close()
    counter.directory.close()


@pytest.mark.parametrize("cut", range(CUTS))
async def test_what_was_acknowledged_outlives_a_power_cut(
    tmp_path: Path, cut: int, random_seed: int
) -> None:
    """Every receipt can be had again; every purchase that was sent is paid once in the end."""
    payments = random.Random(random_seed + cut).randint(1, MOST_PAYMENTS)
    await fill(tmp_path)
    till = pay_until_cut(tmp_path, payments)
    assert verify_shards(tmp_path, SHARDS).faults == []
    assert await missing(tmp_path, till) == 0
    assert len(till.sent) - len(till.paid) <= TILLS
    await resend(tmp_path, till)
    report = verify_shards(tmp_path, SHARDS)
    assert (report.faults, report.in_transit) == ([], 0)


async def test_without_syncing_it_would_be_lost(tmp_path: Path) -> None:
    """The disk does forget: with SQLite's synchronous=OFF, receipts are gone after the cut."""
    await fill(tmp_path)
    till = pay_until_cut(tmp_path, 20, "OFF")
    assert await missing(tmp_path, till) > 0
