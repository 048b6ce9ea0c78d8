"""A backup of a switch that takes payments, restored elsewhere; and what a kill in between leaves.

The payments go from shard to shard, so that money is on its way at every moment.
"""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kessai.v1.payment_pb2 import PAYMENT_OUTCOME_SETTLED, GetPaymentRequest
from kessai.v1.payment_pb2_grpc import PaymentServiceStub
from server.backup_manifest import MANIFEST
from tests.running import CALL_LIMIT_S, KESSAI, RunningSwitch, kessai
from tests.scenarios.shop import Customer, Register, Shop, submission

LIMIT_S = 60.0


@dataclass
class Load:
    """Payments that are made on several lines until it is told to stop; when each was answered."""

    shop: Shop
    till: Register
    customers: list[Customer]
    answered: dict[str, int] = field(default_factory=dict)
    over: threading.Event = field(default_factory=threading.Event)

    def pay(self, customer: Customer) -> None:
        """Pay, one after another, on a line of its own."""
        with self.shop.switch.channel(self.till.identity) as channel:
            stub = PaymentServiceStub(channel)
            while not self.over.is_set():
                pending = self.till.ask(1)
                sealed = customer.authorize(pending, self.till.terminal)
                answer = stub.SettlePayment(submission(pending, sealed), timeout=CALL_LIMIT_S)
                receipt = self.shop.receipt(answer.receipt)
                assert receipt.outcome == PAYMENT_OUTCOME_SETTLED
                self.answered[pending.payment_id] = time.time_ns() // 1000

    def wait_for(self, further: int, paying: list[Future[None]]) -> None:
        """Wait until so many further payments were answered."""
        wanted, deadline = len(self.answered) + further, time.monotonic() + LIMIT_S
        while len(self.answered) < wanted:
            assert time.monotonic() < deadline, "payments do not go on"
            assert not any(line.done() for line in paying), "a line ended"
            time.sleep(0.005)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop on shard 0; its customers are on the others."""
    opened = Shop(tmp_path_factory.mktemp("load"), shards=3)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def load(shop: Shop) -> Load:
    """A till, and its customers."""
    till = shop.register("till-1")
    people = [shop.customer(name, 1_000_00, shard) for name, shard in (("ann", 1), ("bob", 2))]
    return Load(shop, till, people)


def test_a_restored_backup_has_every_payment_before_its_moment(
    shop: Shop, load: Load, tmp_path: Path
) -> None:
    """Its books verify at once; what was on its way arrives; its moment is that of all stores."""
    backup, target = tmp_path / "backup", tmp_path / "restored"
    with ThreadPoolExecutor() as lines:
        paying = [lines.submit(load.pay, customer) for customer in load.customers]
        try:
            load.wait_for(5, paying)
            said = kessai("backup", str(backup), "--data", str(shop.switch.folder)).stdout
            load.wait_for(3, paying)
        finally:
            load.over.set()
        for line in paying:
            line.result(LIMIT_S)
    assert "It verifies." in said
    moment_us = json.loads((backup / MANIFEST).read_text())["moment_us"]
    before = {name for name, us in load.answered.items() if us < moment_us}
    assert 5 <= len(before) < len(load.answered)
    kessai("restore", str(backup), "--data", str(target))
    switch = RunningSwitch.start(target)
    try:
        with switch.channel(load.till.identity) as channel:
            stub = PaymentServiceStub(channel)
            for name in before:
                found = stub.GetPayment(GetPaymentRequest(request_id=name), timeout=CALL_LIMIT_S)
                assert shop.receipt(found.receipt).outcome == PAYMENT_OUTCOME_SETTLED
        assert switch.balance(shop.account) >= len(before)
        switch.verify()
    finally:
        switch.stop()


@pytest.mark.parametrize("file", ["directory.db", "shards/0002.db"])
def test_a_kill_leaves_nothing_that_looks_whole(shop: Shop, tmp_path: Path, file: str) -> None:
    """Killed once a file is being written: no target, payments go on, and it works again."""
    backup, target = tmp_path / "backup", tmp_path / "restored"
    data = str(shop.switch.folder)
    was_whole = killed_at(file, backup, "backup", str(backup), "--data", data)
    assert backup.exists() == was_whole
    if not was_whole:
        partial = tmp_path / "backup.kessai-partial"
        assert "is no whole backup" in complaint_of("restore", str(partial), "--data", str(target))
        shop.switch.deposit(shop.account, 1)
        kessai("backup", str(backup), "--data", data)
    assert not (tmp_path / "backup.kessai-partial").exists()
    was_whole = killed_at(file, target, "restore", str(backup), "--data", str(target))
    assert target.exists() == was_whole
    if not was_whole:
        kessai("restore", str(backup), "--data", str(target))
    assert not list(shop.switch.folder.glob("directory-copy-*"))


def killed_at(file: str, target: Path, *words: str) -> bool:
    """Run a command and kill it once a file of its folder is there; whether it had ended by then.

    The file is looked for where it is written before the folder is whole.
    """
    partial = target.with_name(f"{target.name}.kessai-partial") / file
    process = subprocess.Popen([KESSAI, *words], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + LIMIT_S
    while not partial.exists() and process.poll() is None:
        assert time.monotonic() < deadline, "it does not get so far"
        time.sleep(0.001)
    process.kill()
    process.wait(LIMIT_S)
    return target.exists()


def complaint_of(*words: str) -> str:
    """The one line of a command that refuses."""
    ended = kessai(*words, check=False)
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    return ended.stderr
