"""A backup as the manual says: the switch is stopped, and its files are copied without a WAL."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import RunningSwitch, kessai
from tests.scenarios.shop import BREAD, MILK, Customer, Register, Shop, shards_of

PRICE = 349 + 129


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop of one's own, whose switch is stopped and killed."""
    opened = Shop(tmp_path_factory.mktemp("backup"))
    yield opened
    opened.switch.restart()
    opened.close()


def copy_of(folder: Path, to: Path) -> Path:
    """Copy what the manual names: databases, books.json, configuration and identities."""
    (to / "shards").mkdir(parents=True)
    for name in ("directory.db", "books.json", "kessai.toml"):
        shutil.copy(folder / name, to / name)
    for path in (folder / "shards").glob("*.db"):
        shutil.copy(path, to / "shards" / path.name)
    for name in ("identity", "operator"):
        shutil.copytree(folder / name, to / name)
    return to


def rows_in(folder: Path) -> list[list[bytes]]:
    """The chain hash of every log row, by shard."""
    with shards_of(folder) as readers:
        return [[row.chain_hash for row in reader.log()] for reader in readers]


def contents_of(folder: Path) -> dict[Path, bytes]:
    """What is in the databases of a folder, and in their WALs."""
    files = (*folder.rglob("*.db"), *folder.rglob("*-wal"))
    return {path: path.read_bytes() for path in files}


def cut_power(switch: RunningSwitch) -> None:
    """End the switch and the process that writes its shards, as if at one moment."""
    pid = switch.process.pid
    for writer in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        os.kill(int(writer), signal.SIGKILL)
    switch.kill()


def verified(folder: Path) -> str:
    """What `kessai ledger verify` says of good books."""
    return " ".join(kessai("ledger", "verify", "--data", str(folder)).stdout.split())


def test_the_files_of_a_stopped_switch_hold_every_payment(
    shop: Shop, register: Register, alice: Customer, tmp_path: Path
) -> None:
    """Copied without any WAL they open, verify, and give the same balances and receipts."""
    register.sell(alice, BREAD, MILK)
    shop.switch.stop()
    folder = shop.switch.folder
    assert [path.name for path in folder.rglob("*-wal")] == []
    rows = rows_in(folder)
    copy = copy_of(folder, tmp_path / "copy")
    assert "warning" not in verified(copy)
    assert rows_in(copy) == rows
    assert sum(map(len, rows)) > 0
    restored = RunningSwitch.start(copy)
    try:
        assert restored.balance(shop.account) == PRICE
        restored.verify()
    finally:
        restored.stop()
        shop.switch.restart()


def test_verify_warns_of_files_that_are_no_whole_copy(
    shop: Shop, register: Register, alice: Customer, tmp_path: Path
) -> None:
    """After a kill the payments are in the WAL: it says so there, and of a copy that lacks it."""
    register.sell(alice, BREAD, MILK)
    assert "warning" not in verified(shop.switch.folder)
    cut_power(shop.switch)
    before = contents_of(shop.switch.folder)
    said = verified(shop.switch.folder)
    assert said.startswith("warning: ")
    assert "-wal holds payments that 0000.db itself lacks" in said
    assert contents_of(shop.switch.folder) == before
    copy = copy_of(shop.switch.folder, tmp_path / "copy")
    assert "0000.db was not closed cleanly, and 0000.db-wal is missing" in verified(copy)
    assert rows_in(copy) != rows_in(shop.switch.folder)
    shop.switch.restart()
    shop.switch.stop()
    assert "warning" not in verified(shop.switch.folder)
