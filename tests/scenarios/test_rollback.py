"""A switch whose books or directory went back is noticed by those who have seen more.

The old copy is one that was made while the switch had nothing to do, put back in place of what came
after. Both ends raise the alarm. A switch that is stopped or killed, and goes on with its own
folder, raises none.
"""

from __future__ import annotations

import shutil
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import grpc
import pytest

from kessai.device_identity import load_identity
from kessai.log_marks import LogMarks, first_difference
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.ledger_pb2 import GetLogHashRequest, LogPlace
from kessai.v1.ledger_pb2_grpc import LedgerServiceStub
from tests.running import CALL_LIMIT_S, kessai
from tests.scenarios.shop import BREAD, Register, Shop

LIMIT_S = 60.0


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """A shop of the test's own, because its switch goes back."""
    opened = Shop(tmp_path, shards=2)
    yield opened
    opened.close()


@pytest.fixture
def till(shop: Shop) -> Iterator[Register]:
    """A till in touch with the switch."""
    register = shop.register("till-1")
    register.start()
    register.steps.next("in_touch")
    yield register
    assert register.steps.stop() == 0


def test_an_older_copy_of_the_folder_alarms_both_ends(shop: Shop, till: Register) -> None:
    alice = shop.customer("alice", 5_000)
    till.sell(alice, BREAD)
    put_back(shop, lambda: till.sell(alice, BREAD))
    why = till.steps.next("switch_went_back", timeout_s=LIMIT_S)["why"]
    assert why.startswith("the switch lost or changed row ")
    assert alarms(shop) == 1
    assert "agent/corner-shop/till-1 ALARM" in operate(shop, "device", "list")
    shown = operate(shop, "device", "show", "agent/corner-shop/till-1")
    assert "ALARM has seen row" in shown
    assert f"ALARM: {why}" in shown
    phone = kessai("phone", "balance", "--folder", str(alice.folder))
    assert "the bank's ledger lost or changed what your receipts prove" in phone.stderr
    assert alarms(shop) == 2


def test_a_switch_that_stops_or_is_killed_alarms_nobody(shop: Shop, till: Register) -> None:
    alice = shop.customer("alice", 5_000)
    till.sell(alice, BREAD)
    for end in (shop.switch.stop, shop.switch.kill):
        end()
        shop.switch.restart()
        in_touch(till)
        (receipts,) = LogMarks(till.folder).pages()
        assert first_difference(receipts, look(shop, till.folder, receipts)) is None
        assert LogMarks(till.folder).alarm == ""
        assert "ALARM" not in operate(shop, "device", "list")
        assert alarms(shop) == 0


def test_a_directory_that_went_back_alarms_both_ends(shop: Shop, till: Register) -> None:
    """Whom the operator had revoked is trusted again; the tills know better."""

    def revoke() -> None:
        bob = shop.customer("bob", 0)
        shop.switch.revoke(load_identity(bob.folder).device)
        till.steps.next("deny_list_grew")

    put_back(shop, revoke)
    why = till.steps.next("switch_went_back", timeout_s=LIMIT_S)["why"]
    assert why == "the switch lost its deny list after version 0"
    shown = operate(shop, "device", "show", "agent/corner-shop/till-1")
    assert "ALARM has deny list 1, newer than the switch's" in shown
    assert alarms(shop) == 1


def test_a_loss_that_was_accepted_is_told_once(shop: Shop, till: Register, tmp_path: Path) -> None:
    """The till and the phone begin anew; what the operator did is in the audit log."""
    alice = shop.customer("alice", 5_000)
    till.sell(alice, BREAD)
    backup, folder = tmp_path / "backup", shop.switch.folder
    kessai("backup", str(backup), "--data", str(folder))
    till.sell(alice, BREAD)
    bob = shop.customer("bob", 0)
    shop.switch.revoke(load_identity(bob.folder).device)
    till.steps.next("deny_list_grew")
    shop.switch.kill()
    shutil.rmtree(folder)
    kessai("restore", str(backup), "--accept-loss", "--data", str(folder))
    shop.switch.restart()
    why = till.steps.next("switch_restored", timeout_s=LIMIT_S)["why"]
    assert "its operator accepted that" in why
    for told in (True, False):
        phone = kessai("phone", "balance", "--folder", str(alice.folder))
        assert ("This is told once" in phone.stderr) is told
        assert "ALARM" not in phone.stderr
    assert alarms(shop) == 0
    assert "ALARM" not in operate(shop, "device", "list")
    assert "BackupService/AcceptLoss" in operate(shop, "audit", "--json")
    till.sell(alice, BREAD)
    shop.switch.stop()
    shop.switch.restart()
    in_touch(till)
    assert LogMarks(till.folder).alarm == ""
    assert alarms(shop) == 0


def test_only_who_holds_a_receipt_of_this_switch_learns_a_hash(shop: Shop, till: Register) -> None:
    """And nobody raises an alarm with something that the switch never signed."""
    till.sell(shop.customer("alice", 5_000), BREAD)
    ((receipt,),) = LogMarks(till.folder).pages()
    forged = Signed.FromString(receipt.SerializeToString())
    forged.payload = forged.payload[:-1] + bytes([forged.payload[-1] ^ 1])
    for receipts in ([], [forged], [receipt] * 17):
        with pytest.raises(grpc.RpcError) as refused:
            look(shop, till.folder, receipts)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert alarms(shop) == 0


def put_back(shop: Shop, happens: Callable[[], object]) -> None:
    """Copy the folder of a switch that has nothing to do, let something happen, serve the copy."""
    switch, copy = shop.switch, shop.folder / "copy"
    shop.earned()
    shutil.copytree(switch.folder, copy)
    happens()
    switch.kill()
    shutil.rmtree(switch.folder)
    copy.rename(switch.folder)
    switch.restart()


def in_touch(till: Register) -> None:
    """Wait until the till is in touch anew."""
    till.steps.next("in_touch", timeout_s=LIMIT_S)


def look(shop: Shop, folder: Path, receipts: Sequence[Signed]) -> Sequence[LogPlace]:
    """Ask as a device what stands where receipts say."""
    with shop.switch.channel(load_identity(folder)) as channel:
        request = GetLogHashRequest(receipts=receipts)
        return LedgerServiceStub(channel).GetLogHash(request, timeout=CALL_LIMIT_S).places


def operate(shop: Shop, *words: str) -> str:
    """Run an operator's command; what it prints, on one line."""
    return " ".join(kessai(*words, "--data", str(shop.switch.folder)).stdout.split())


def alarms(shop: Shop) -> int:
    """The metric, which counts devices."""
    with urllib.request.urlopen(
        f"http://{shop.switch.metrics_address}/metrics", timeout=60
    ) as page:
        lines = page.read().decode().splitlines()
    return int(float(next(x for x in lines if x.startswith("kessai_rollback_alarms ")).split()[1]))
